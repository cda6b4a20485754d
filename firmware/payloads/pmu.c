/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The performance monitors of a realm: exact counts of a loop, filters, overflow; or none of it.
 * The personalization value says what to expect: the number of event counters, 0 for no PMU. */
#include "check.h"

#define PMCR_E (1UL << 0)
#define PMCR_P (1UL << 1)
#define PMCR_C (1UL << 2)
#define PMCR_DP (1UL << 5)
#define PMCR_LC (1UL << 6)
#define PMCR_N(pmcr) ((pmcr) >> 11 & 0x1f)
#define CYCLES (1UL << 31)
#define NOT_EL1 (1UL << 31)
#define INST_RETIRED 0x08
#define CHAIN 0x1e
#define PMUV3P7 7

#define TURNS 1000
#define LOOP_INSNS (2 * TURNS + 2) /* the first MRS, MOV, and two in each turn */

static volatile unsigned taken;

void realm_exception(struct frame *frame)
{
    taken++;
    frame->elr += 4;
}

#define COUNT_LOOP(counter)                                                                                  \
    __extension__({                                                                                          \
        uint64_t before_, after_, turns_;                                                                    \
        __asm__ volatile(".balign 64\n"                                                                      \
                         "   mrs %0, " #counter "\n"                                                         \
                         "   mov %2, #1000\n"                                                                \
                         "1: subs %2, %2, #1\n"                                                              \
                         "   b.ne 1b\n"                                                                      \
                         "   mrs %1, " #counter                                                              \
                         : "=&r"(before_), "=&r"(after_), "=&r"(turns_)                                      \
                         :                                                                                   \
                         : "cc");                                                                            \
        after_ - before_;                                                                                    \
    })

static uint64_t overflow_exits(void)
{
    uint64_t gprs[4] = {0};
    return ask_host(CCAB_HC_PMU_EXITS, gprs);
}

/* Instructions that a host call costs the realm. */
__attribute__((noinline)) static uint64_t host_call_insns(void)
{
    uint64_t gprs[4] = {0}, before = read_sysreg(pmccntr_el0);
    ask_host(CCAB_HC_NOP, gprs);
    return read_sysreg(pmccntr_el0) - before;
}

static void counting(void)
{
    write_sysreg(pmcntenset_el0, CYCLES | 1);
    write_sysreg(pmevtyper0_el0, INST_RETIRED);
    isb();
    check_equal(COUNT_LOOP(pmccntr_el0), 0, "nothing counts before PMCR_EL0.E");
    write_sysreg(pmcr_el0, PMCR_E | PMCR_P | PMCR_C);
    isb();
    uint64_t cycles = COUNT_LOOP(pmccntr_el0), insns = COUNT_LOOP(pmevcntr0_el0);
    print("  %u turns of two instructions: %lu cycles, %lu instructions\n", TURNS, cycles, insns);
    check_equal(cycles, LOOP_INSNS, "the cycle counter is exact");
    check_equal(insns, LOOP_INSNS, "and so is INST_RETIRED");
    uint64_t first = host_call_insns();
    check(first == host_call_insns() && first < TURNS, "what the host and the RMM do is not counted");
    write_sysreg(pmevtyper0_el0, NOT_EL1 | INST_RETIRED);
    isb();
    check_equal(COUNT_LOOP(pmevcntr0_el0), 0, "PMEVTYPER0_EL0.P keeps EL1 out");
    write_sysreg(pmevtyper0_el0, INST_RETIRED);
}

/* Runs the loop with counter 0 about to overflow; how often the realm came out for it. */
static uint64_t overflow(uint64_t interrupt)
{
    uint64_t before = overflow_exits();
    write_sysreg(pmovsclr_el0, 0xffffffff);
    write_sysreg(pmevcntr0_el0, 0x100000000 - TURNS);
    write_sysreg(pmintenset_el1, interrupt);
    isb();
    COUNT_LOOP(pmccntr_el0);
    write_sysreg(pmintenclr_el1, 0xffffffff);
    isb();
    return overflow_exits() - before;
}

static void overflows(uint64_t counters)
{
    check_equal(overflow(0), 0, "a masked overflow does not leave the realm");
    check_equal(read_sysreg(pmovsset_el0), 1, "and stands in PMOVSSET_EL0");
    check_equal(overflow(1), 1, "one that is not masked is an IRQ exit with pmu_ovf_status = ACTIVE");
    check_equal(read_sysreg(pmovsset_el0), 1, "which the realm sees in PMOVSSET_EL0");
    check(read_sysreg(pmevcntr0_el0) >> 32 == 1, "the counter goes on beyond 32 bits");
    if (counters < 2)
        return;
    write_sysreg(pmevtyper1_el0, CHAIN);
    write_sysreg(pmevcntr1_el0, 0);
    write_sysreg(pmcntenset_el0, 2);
    overflow(0);
    check_equal(read_sysreg(pmevcntr1_el0), 1, "CHAIN counts overflows of its neighbour");
}

static void monitors(uint64_t counters)
{
    uint64_t pmcr = read_sysreg(pmcr_el0), one = 1UL << counters;
    check_equal(pmcr, PMCR_LC | PMCR_DP | counters << 11, "PMCR_EL0 starts as the RMM sets it, with N of the realm");
    write_sysreg(pmcntenset_el0, 0xffffffff);
    isb();
    check_equal(read_sysreg(pmcntenset_el0), CYCLES | (one - 1), "there are no more counters than N");
    write_sysreg(pmcntenclr_el0, 0xffffffff);
    counting();
    overflows(counters);
    check_equal(taken, 0, "no exception was taken");
}

static void nothing(void)
{
    write_sysreg(pmcr_el0, PMCR_E);
    write_sysreg(pmcntenset_el0, 0xffffffff);
    write_sysreg(pmccntr_el0, 5);
    isb();
    check_equal(read_sysreg(pmcr_el0) | read_sysreg(pmcntenset_el0) | read_sysreg(pmccntr_el0), 0,
                "its registers read as zero and ignore writes");
    check_equal(taken, 0, "without an exception");
}

int main(void)
{
    uint64_t counters = personalization_number(), dfr0 = read_sysreg(id_aa64dfr0_el1);
    print("pmu: this realm was made with %lu event counters\n", counters);
    check_equal(dfr0 >> 8 & 0xf, counters ? PMUV3P7 : 0, "ID_AA64DFR0_EL1.PMUVer says so");
    if (counters)
        monitors(counters);
    else
        nothing();
    return checks_failed != 0;
}
