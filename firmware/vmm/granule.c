/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm.h"

struct granule_counts granule_counts;

/* Pages that came back, linked through their first words. */
static uint64_t free_list;
static uint64_t next, end;

void pool_init(uint64_t base, uint64_t size)
{
    next = (base + GRANULE - 1) & ~(GRANULE - 1);
    end = (base + size) & ~(GRANULE - 1);
    free_list = 0;
}

uint64_t pool_take(uint64_t count)
{
    uint64_t pa;
    if (count == 1 && free_list) {
        pa = free_list;
        free_list = *(uint64_t *)pa;
        *(uint64_t *)pa = 0;
        return pa;
    }
    uint64_t size = count * GRANULE;
    uint64_t alignment = count & (count - 1) ? GRANULE : size;
    pa = (next + alignment - 1) & ~(alignment - 1);
    if (pa + size > end || pa + size < pa) {
        print("host: the pool has no %lu pages left: make boot.pool larger\n", count);
        host_exit(VMM_NO_MEMORY);
    }
    next = pa + size;
    memset((void *)pa, 0, size);
    return pa;
}

void pool_give(uint64_t pa)
{
    memset((void *)pa, 0, GRANULE);
    *(uint64_t *)pa = free_list;
    free_list = pa;
}

__attribute__((weak)) void before_delegate(uint64_t pa)
{
    (void)pa;
}

void granule_delegate(uint64_t pa)
{
    before_delegate(pa);
    must("RMI_GRANULE_DELEGATE", rmi_granule_delegate(pa));
    granule_counts.delegated++;
}

void granule_undelegate(uint64_t pa)
{
    must("RMI_GRANULE_UNDELEGATE", rmi_granule_undelegate(pa));
    /* A granule that is still Realm faults here; one that was not wiped shows what it held. */
    const volatile uint64_t *words = (const volatile uint64_t *)pa;
    for (unsigned i = 0; i < GRANULE / sizeof *words; i++) {
        if (words[i]) {
            print("host: granule 0x%lx came back with 0x%lx at offset 0x%lx\n", pa, words[i], i * sizeof *words);
            host_exit(VMM_LEAK);
        }
    }
    granule_counts.returned++;
}

uint64_t granule_take(void)
{
    uint64_t pa = pool_take(1);
    granule_delegate(pa);
    return pa;
}

void granule_give(uint64_t pa)
{
    granule_undelegate(pa);
    pool_give(pa);
}
