/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Realm translation tables: created where a call says that they are missing, destroyed from the leaves up. */
#include "vmm.h"

void rtt_extend(struct vmm_realm *realm, uint64_t ipa, int stop)
{
    uint64_t rtt = granule_take();
    must("RMI_RTT_CREATE", rmi_rtt_create(realm->rd, rtt, ipa & ~(rtt_size(stop) - 1), stop + 1));
}

uint64_t rtt_data_create_unknown(struct vmm_realm *realm, uint64_t data, uint64_t ipa)
{
    for (;;) {
        uint64_t status = rmi_data_create_unknown(realm->rd, data, ipa);
        if (RMI_STATUS(status) != RMI_ERROR_RTT || rtt_stop(status) >= 3)
            return status;
        rtt_extend(realm, ipa, rtt_stop(status));
    }
}

uint64_t rtt_map_unprotected(struct vmm_realm *realm, uint64_t ipa, uint64_t desc)
{
    for (;;) {
        uint64_t status = rmi_rtt_map_unprotected(realm->rd, ipa, 3, desc);
        if (RMI_STATUS(status) != RMI_ERROR_RTT || rtt_stop(status) >= 3)
            return status;
        rtt_extend(realm, ipa, rtt_stop(status));
    }
}

static void destroy_data(struct vmm_realm *realm, uint64_t ipa, uint64_t end)
{
    while (ipa < end) {
        uint64_t data, top;
        uint64_t status = rmi_data_destroy(realm->rd, ipa, &data, &top);
        if (status == RMI_SUCCESS)
            granule_give(data);
        else if (RMI_STATUS(status) != RMI_ERROR_RTT || top <= ipa)
            vmm_fail("RMI_DATA_DESTROY", status);
        ipa = top;
    }
}

/* Destroys every table of `level` that translates part of [ipa, end), and what is below it. */
static void destroy_tables(struct vmm_realm *realm, uint64_t ipa, uint64_t end, int level)
{
    uint64_t span = rtt_size(level - 1);
    while (ipa < end) {
        uint64_t rtt, top;
        uint64_t status = rmi_rtt_destroy(realm->rd, ipa, level, &rtt, &top);
        if (status == RMI_SUCCESS) {
            granule_give(rtt);
            ipa = top;
        } else if (RMI_STATUS(status) != RMI_ERROR_RTT) {
            vmm_fail("RMI_RTT_DESTROY", status);
        } else if (rtt_stop(status) == level) {
            if (level == 3)
                destroy_data(realm, ipa, ipa + span);
            else
                destroy_tables(realm, ipa, ipa + span, level + 1);
        } else if (top > ipa) {
            ipa = top;
        } else {
            vmm_fail("RMI_RTT_DESTROY", status);
        }
    }
}

void rtt_destroy_all(struct vmm_realm *realm)
{
    if (realm->start_level < 3)
        destroy_tables(realm, 0, realm->shared_bit << 1, realm->start_level + 1);
}
