/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PSCI and timers of a realm with several RECs: each sleeps until its own timer, goes off, comes back; what cannot be is
 * refused.  In the end REC 1 turns the realm off, or asks for a reset where the personalization value is `reset`. */
#include "../smp/count.h"
#include "check.h"
#include "psci.h"
#include "stage1.h"

#define TABLES 8
#define PATIENCE 1000000 /* yields */
#define STEP 200000UL    /* ticks between two RECs' deadlines */
#define TIMER_ON 1UL
#define TIMER_STATUS 4UL

static uint64_t tables[TABLES * 512] __attribute__((aligned(0x1000)));
static struct stage1 s1;
static _Alignas(16) uint64_t stacks[SMP_PES][512];
static struct rsi_realm_config config __attribute__((aligned(0x1000)));
static volatile uint64_t wakes, order[SMP_PES], early, suspended, finished, last_word;

static void yield(void)
{
    uint64_t gprs[4] = {0};
    ask_host(CCAB_HC_YIELD, gprs);
}

/* Interrupts stay masked: what ends the WFI is looked at and not taken. */
static void sleep_until(uint64_t deadline)
{
    write_sysreg(cntv_cval_el0, deadline);
    write_sysreg(cntv_ctl_el0, TIMER_ON);
    isb();
    while (!(read_sysreg(cntv_ctl_el0) & TIMER_STATUS))
        __asm__ volatile("wfi" ::: "memory");
    isb();
    if (read_sysreg(cntvct_el0) < deadline)
        add_atomic(&early, 1);
    write_sysreg(cntv_ctl_el0, 0);
    isb();
}

static _Noreturn void secondary(uint64_t *top)
{
    uint64_t index = top[1];
    s1_enable_el1(&s1);
    if (last_word) {
        if (config.rpv[0] == 'r')
            psci_system_reset();
        else
            psci_system_off();
        realm_exit(95);
    }
    sleep_until(top[2]);
    order[add_atomic(&wakes, 1)] = index;
    if (psci_cpu_suspend(0, 0, 0) == PSCI_SUCCESS)
        add_atomic(&suspended, 1);
    add_atomic(&finished, 1);
    psci_cpu_off();
    realm_exit(96);
}

static uint64_t start(uint64_t index, uint64_t deadline)
{
    uint64_t *top = &stacks[index][508];
    top[0] = (uint64_t)secondary;
    top[1] = index;
    top[2] = deadline;
    /* The REC reads it with its MMU off. */
    __asm__ volatile("dc cvac, %0\n dsb sy" ::"r"(top) : "memory");
    return (uint64_t)psci_cpu_on(index, (uint64_t)realm_secondary_start, (uint64_t)top);
}

static uint64_t number_off(void)
{
    uint64_t off = 0;
    for (uint64_t index = 1; index < SMP_PES; index++)
        off += psci_affinity_info(index, 0) == PSCI_AFFINITY_OFF;
    return off;
}

static void wait_for_all(uint64_t count)
{
    for (unsigned i = 0; i < PATIENCE && finished != count; i++)
        yield();
    for (unsigned i = 0; i < PATIENCE && number_off() != SMP_PES - 1; i++)
        yield();
}

static void refused(void)
{
    uint64_t entry = (uint64_t)realm_secondary_start;
    check_equal((uint64_t)psci_cpu_on(0, entry, 0), (uint64_t)PSCI_ALREADY_ON, "a REC cannot start itself");
    check_equal((uint64_t)psci_cpu_on(SMP_PES, entry, 0), (uint64_t)PSCI_INVALID_PARAMETERS, "nor one that is not there");
    check_equal((uint64_t)psci_cpu_on(1, entry | realm_entry.shared_bit, 0), (uint64_t)PSCI_INVALID_ADDRESS,
                "nor in memory that is shared");
    check_equal((uint64_t)psci_affinity_info(SMP_PES, 0), (uint64_t)PSCI_INVALID_PARAMETERS,
                "nor ask for one that is not there");
    check_equal((uint64_t)psci_affinity_info(1, 1), (uint64_t)PSCI_INVALID_PARAMETERS, "nor for affinity levels");
    check_equal((uint64_t)psci_affinity_info(0, 0), PSCI_AFFINITY_ON, "itself is on");
}

int main(void)
{
    uint64_t ram = realm_entry.ram_base;
    s1_init(&s1, tables, TABLES);
    if (rsi_realm_config((uint64_t)&config) != RSI_SUCCESS ||
        !s1_map(&s1, ram, ram, realm_entry.ram_size, S1_CODE))
        return 2;
    s1_enable_el1(&s1);
    check_equal(number_off(), SMP_PES - 1, "the other RECs are off");
    refused();

    print("sleeping\n");
    uint64_t now = read_sysreg(cntvct_el0);
    for (uint64_t index = 1; index < SMP_PES; index++)
        if (!check_equal(start(index, now + (SMP_PES - index + 1) * STEP), PSCI_SUCCESS, "a REC starts"))
            return 2;
    check_equal((uint64_t)psci_affinity_info(SMP_PES - 1, 0), PSCI_AFFINITY_ON, "the last of them is on");
    wait_for_all(SMP_PES - 1);
    check_equal(wakes, SMP_PES - 1, "each wakes");
    check_equal(early, 0, "none before its time");
    for (uint64_t i = 0; i < SMP_PES - 1; i++)
        check_equal(order[i], SMP_PES - 1 - i, "in the order of their deadlines");
    check_equal(suspended, SMP_PES - 1, "CPU_SUSPEND comes back");
    check_equal(number_off(), SMP_PES - 1, "all are off again");
    now = read_sysreg(cntvct_el0);
    check_equal(start(2, now + STEP), PSCI_SUCCESS, "one starts a second time");
    sleep_until(now + STEP / 2);
    check(read_sysreg(cntvct_el0) - now >= STEP / 2, "REC 0 sleeps, too");
    wait_for_all(SMP_PES);
    check_equal(wakes, SMP_PES, "and it wakes again");
    int code = checks_end("power");
    if (code)
        return code;
    last_word = 1;
    start(1, 0);
    for (unsigned i = 0; i < PATIENCE; i++)
        yield();
    return 94;
}
