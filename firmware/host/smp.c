/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's PEs count together in host memory, as the RECs of payloads/smp.c do in the realm's, before they run RECs. */
#include "../smp/count.h"
#include "vmm.h"

static volatile uint64_t arrived, by_exclusives, by_atomics, finished;

static void wait_for(const volatile uint64_t *what, uint64_t value)
{
    while (*what != value)
        __asm__ volatile("yield" ::: "memory");
}

void before_realms(uint32_t pe, uint32_t pes)
{
    add_atomic(&arrived, 1);
    wait_for(&arrived, pes);
    for (uint64_t i = 0; i < SMP_ADDS; i++) {
        add_exclusive(&by_exclusives);
        add_atomic(&by_atomics, 1);
    }
    add_atomic(&finished, 1);
    wait_for(&finished, pes);
    if (pe != 0)
        return;
    uint64_t sum = (uint64_t)pes * SMP_ADDS;
    unsigned right = (by_exclusives == sum) + (by_atomics == sum);
    vmm_lock();
    print("host: %u PEs counted to %lu by LDXR and STXR, to %lu by LDADD: %u of 2 sums are right\n", pes,
          by_exclusives, by_atomics, right);
    vmm_unlock();
    if (right != 2)
        host_exit(1);
}
