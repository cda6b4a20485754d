/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RMI round trips from NS-EL2.  X1: RMI_VERSION calls, X2: pairs of GRANULE_DELEGATE and GRANULE_UNDELEGATE, in each
 * repetition (boot.registers; 0 for the default). */
#include "bench.h"
#include "host.h"
#include "rmi.h"

int main(const struct ccab_host_info *info, uint64_t x1, uint64_t x2, uint64_t x3)
{
    (void)x3;
    if (!info || info->magic != CCAB_INFO_MAGIC)
        return 2;
    uint64_t calls = x1 ? x1 : 50000, pairs = x2 ? x2 : 10000;
    for (unsigned i = 0; i < REPETITIONS; i++) {
        print("bench-rmi-version: start %u: %lu calls\n", i, calls);
        for (uint64_t n = 0; n < calls; n++)
            if (rmi_version(RMI_REVISION, 0, 0) != RMI_SUCCESS)
                return 1;
        print("bench-rmi-version: end %u\n", i);
        print("bench-rmi-delegate: start %u: %lu pairs\n", i, pairs);
        for (uint64_t n = 0; n < pairs; n++)
            if (rmi_granule_delegate(info->pool_pa) != RMI_SUCCESS || rmi_granule_undelegate(info->pool_pa) != RMI_SUCCESS)
                return 1;
        print("bench-rmi-delegate: end %u\n", i);
    }
    return 0;
}
