/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm.h"

const char *rmi_status_name(uint64_t status)
{
    if (status == (uint64_t)-1)
        return "unknown function";
    switch (RMI_STATUS(status)) {
    case RMI_SUCCESS:
        return "RMI_SUCCESS";
    case RMI_ERROR_INPUT:
        return "RMI_ERROR_INPUT";
    case RMI_ERROR_REALM:
        return "RMI_ERROR_REALM";
    case RMI_ERROR_REC:
        return "RMI_ERROR_REC";
    case RMI_ERROR_RTT:
        return "RMI_ERROR_RTT";
    default:
        return "unknown status";
    }
}

_Noreturn void vmm_fail(const char *call, uint64_t status)
{
    print("host: %s = %s (index %d)\n", call, rmi_status_name(status), (int8_t)RMI_INDEX(status));
    host_exit(VMM_RMI_FAILED);
}
