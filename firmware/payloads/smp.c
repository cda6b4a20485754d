/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Four RECs count together: each adds to one counter by exclusives and to another by LDADD, and no addition may get
 * lost, wherever the host takes a REC off its PE.  REC 0 starts the others and looks at the sums. */
#include "../smp/count.h"
#include "check.h"
#include "psci.h"
#include "stage1.h"

#define TABLES 8
#define PATIENCE 100000 /* yields */

static uint64_t tables[TABLES * 512] __attribute__((aligned(0x1000)));
static struct stage1 s1;
static _Alignas(16) uint64_t stacks[SMP_PES][512];
static volatile uint64_t started, go, by_exclusives, by_atomics, lost, finished;

static void yield(void)
{
    uint64_t gprs[4] = {0};
    ask_host(CCAB_HC_YIELD, gprs);
}

/* The REC leaves its PE between load and store: it must not store over what others have added meanwhile. */
static void add_interrupted(volatile uint64_t *at)
{
    uint64_t value = load_exclusive(at);
    yield();
    if (!store_exclusive(at, value + 1))
        add_exclusive(at);
}

static void count(uint64_t index)
{
    add_atomic(&started, 1);
    while (!go)
        yield();
    for (uint64_t i = 0; i < SMP_ADDS; i++) {
        if (i % (16 + index) == 0)
            add_interrupted(&by_exclusives);
        else
            add_exclusive(&by_exclusives);
        uint64_t before = add_atomic(&by_atomics, 1);
        if (i % (32 + index) == 0)
            yield();
        if (index == 0 && before >= by_atomics)
            lost++;
    }
    add_atomic(&finished, 1);
}

static _Noreturn void secondary(uint64_t *top)
{
    s1_enable_el1(&s1);
    count(top[1]);
    psci_cpu_off();
    realm_exit(96);
}

static int map_all(void)
{
    uint64_t ram = realm_entry.ram_base;
    s1_init(&s1, tables, TABLES);
    return s1_map(&s1, ram, ram, realm_entry.ram_size, S1_CODE);
}

static uint64_t start(uint64_t index)
{
    uint64_t *top = &stacks[index][510];
    top[0] = (uint64_t)secondary;
    top[1] = index;
    /* The REC reads it with its MMU off. */
    __asm__ volatile("dc cvac, %0\n dsb sy" ::"r"(top) : "memory");
    return (uint64_t)psci_cpu_on(index, (uint64_t)realm_secondary_start, (uint64_t)top);
}

static int wait_for(volatile uint64_t *what, uint64_t value)
{
    for (unsigned i = 0; i < PATIENCE && *what != value; i++)
        yield();
    return *what == value;
}

int main(void)
{
    if (!map_all())
        return 2;
    s1_enable_el1(&s1);
    for (uint64_t index = 1; index < SMP_PES; index++)
        if (!check_equal(start(index), PSCI_SUCCESS, "a REC starts (needs recs: 4)"))
            return 2;
    check(wait_for(&started, SMP_PES - 1), "all wait at the barrier");
    check(!by_exclusives && !by_atomics, "and none has begun");
    go = 1;
    count(0);
    check(wait_for(&finished, SMP_PES), "all come to the end");
    check_equal(by_exclusives, SMP_PES * SMP_ADDS, "no addition by LDXR and STXR got lost");
    check_equal(by_atomics, SMP_PES * SMP_ADDS, "nor one by LDADD");
    check_equal(lost, 0, "each LDADD was there at once");
    uint64_t off = 0;
    for (unsigned i = 0; i < PATIENCE && off != SMP_PES - 1; i++) {
        yield();
        off = 0;
        for (uint64_t index = 1; index < SMP_PES; index++)
            off += psci_affinity_info(index, 0) == PSCI_AFFINITY_OFF;
    }
    check_equal(off, SMP_PES - 1, "the others are off");
    return checks_end("smp");
}
