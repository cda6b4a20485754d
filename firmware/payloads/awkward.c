/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host that is not kind (host.behaviour of the machine file): what a realm sees of each of its ways, and that where
 * the host is kind nothing of it shows.  The host says itself which it is. */
#include "check.h"
#include "psci.h"

#define MIB 0x100000UL
#define PAGES 4
#define PATTERN 0x0123456789abcdefUL
#define PATIENCE 1000 /* host calls */
#define PATIENCE_REC 200000 /* the same, for a REC that may run on another PE */

#define ABORT(iss) ((uint64_t)EC_DABORT_SAME << 26 | 1UL << 25 | (iss))
#define WNR 0x40UL
#define VECTOR_IRQ 5 /* current EL, SP_ELx */
#define INTID_CNTV 27
#define TIMER_ON 1UL
#define TIMER_FIRES 5UL /* ENABLE, ISTATUS */
#define EXTERNAL 0x210UL /* EA, FSC: synchronous external abort, not on a walk (rmm-abi.md §6.3) */

#define REJECT 1

struct behaviour {
    uint64_t on;
    uint64_t met;
    uint64_t argument;
};

static struct behaviour behaviour(uint64_t kind, uint64_t at)
{
    uint64_t gprs[4] = {kind, at};
    if (ask_host(CCAB_HC_BEHAVIOUR, gprs) == CCAB_HC_UNKNOWN)
        realm_exit(97);
    return (struct behaviour){gprs[0], gprs[1], gprs[2]};
}

static void title(const char *what, int on)
{
    print("%s: %s\n", what, on ? "awkward" : "kind");
}

static void yield(void)
{
    uint64_t gprs[4] = {0};
    ask_host(CCAB_HC_YIELD, gprs);
}

/* ---- exceptions ---- */

static volatile uint64_t taken, esr, far;
static volatile uint64_t interrupts, spurious, strange;

static void interrupt(void)
{
    uint64_t intid = read_sysreg(S3_0_C12_C12_0); /* ICC_IAR1_EL1 */
    interrupts++;
    strange += intid != INTID_CNTV;
    spurious += (read_sysreg(cntv_ctl_el0) & 7) != TIMER_FIRES;
    write_sysreg(cntv_ctl_el0, 0);
    isb();
    write_sysreg(S3_0_C12_C12_1, intid); /* ICC_EOIR1_EL1 */
    isb();
}

void realm_exception(struct frame *frame)
{
    if (frame->vector == VECTOR_IRQ)
        return interrupt();
    if (ESR_EC(frame->esr) != EC_DABORT_SAME) {
        print("exception at PC 0x%lx: ESR_EL1 0x%lx\n", frame->elr, frame->esr);
        realm_exit(REALM_EXCEPTION);
    }
    taken++;
    esr = frame->esr;
    far = frame->far;
    frame->elr += 4;
}

/* ---- RIPAS ---- */

/* RSI_IPA_STATE_SET until all of [base, top) is changed: how many calls that takes, 0 when it does not. */
static uint64_t change(uint64_t base, uint64_t top, uint64_t ripas, uint64_t flags)
{
    for (uint64_t calls = 1;; calls++) {
        uint64_t next, response;
        uint64_t status = rsi_ipa_state_set(base, top, ripas, flags, &next, &response);
        if (status != RSI_SUCCESS || response || next <= base)
            return 0;
        if (next >= top)
            return calls;
        base = next;
    }
}

static void rejected(uint64_t base, uint64_t top)
{
    uint64_t next = 0, response = 0;
    check_equal(rsi_ipa_state_set(base, top, RSI_RIPAS_RAM, 0, &next, &response), RSI_SUCCESS, "a change to RAM");
    check_equal(response, REJECT, "is rejected");
    check_equal(next, base, "and went no page far");
    check_equal(rsi_ipa_state_set(base, top, RSI_RIPAS_EMPTY, 0, &next, &response), RSI_SUCCESS, "a change to EMPTY");
    check_equal(next, base, "went no page far");
    check_equal(ripas_of(base), RSI_RIPAS_RAM, "RIPAS is still RAM");
    check_equal(*(volatile uint64_t *)base, PATTERN, "and the page is as it was");
    check_equal(behaviour(CCAB_BEHAVE_REJECT_RIPAS, base).met, 2, "the host rejected both");
}

static void partial(uint64_t base, uint64_t top, uint64_t pages)
{
    uint64_t next = 0, response = 0, step = base + pages * GRANULE;
    uint64_t rest = ((top - base) / GRANULE - 1) / pages; /* calls after the first */
    check_equal(rsi_ipa_state_set(base, top, RSI_RIPAS_EMPTY, 0, &next, &response), RSI_SUCCESS, "a change to EMPTY");
    check_equal(response, 0, "is accepted");
    check_equal(next, step, "and went so far");
    check_equal(ripas_of(base), RSI_RIPAS_EMPTY, "RIPAS of the first page is EMPTY");
    check_equal(ripas_of(next - GRANULE), RSI_RIPAS_EMPTY, "and of the last that was reached");
    check_equal(ripas_of(next), RSI_RIPAS_RAM, "beyond it, it is RAM");
    check_equal(change(next, top, RSI_RIPAS_EMPTY, 0), rest, "asking on brings the rest");
    check_equal(ripas_of(top - GRANULE), RSI_RIPAS_EMPTY, "RIPAS of the last page is EMPTY");
    check_equal(change(base, top, RSI_RIPAS_RAM, 0), rest + 1, "all goes back to RAM in as many calls");
}

static void ripas(void)
{
    uint64_t base = realm_entry.ram_base + 8 * MIB, top = base + PAGES * GRANULE;
    struct behaviour reject = behaviour(CCAB_BEHAVE_REJECT_RIPAS, base);
    struct behaviour part = behaviour(CCAB_BEHAVE_PARTIAL_RIPAS, base);
    int partly = part.on && part.argument < PAGES;
    title("RIPAS changes", reject.on || partly);
    *(volatile uint64_t *)base = PATTERN;
    if (reject.on)
        return rejected(base, top);
    if (partly)
        return partial(base, top, part.argument);
    check_equal(change(base, top, RSI_RIPAS_EMPTY, 0), 1, "one call takes all pages to EMPTY");
    check_equal(ripas_of(top - GRANULE), RSI_RIPAS_EMPTY, "RIPAS of the last page is EMPTY");
    check_equal(change(base, top, RSI_RIPAS_RAM, 0), 1, "and one call back to RAM");
    check_equal(*(volatile uint64_t *)base, 0, "without what was there");
}

/* ---- PSCI ---- */

static volatile uint64_t rec1_ran, wait_here;
static _Alignas(16) uint64_t rec1_stack[512];

static _Noreturn void rec1(void)
{
    rec1_ran++;
    while (wait_here)
        yield();
    psci_cpu_off();
    realm_exit(96);
}

/* Gives REC 1 time to run for the `times`th time and to turn itself off. */
static void wait_for_rec1(uint64_t times)
{
    for (unsigned i = 0; i < PATIENCE_REC; i++) {
        yield();
        if (rec1_ran == times && psci_affinity_info(1, 0) == PSCI_AFFINITY_OFF)
            return;
    }
}

static void cpu_on(void)
{
    uint64_t top = (uint64_t)rec1_stack + sizeof rec1_stack - 16;
    uint64_t denied = behaviour(CCAB_BEHAVE_DENY_CPU_ON, 1).on;
    title("PSCI_CPU_ON", denied != 0);
    *(uint64_t *)top = (uint64_t)rec1;
    int64_t status = psci_cpu_on(1, (uint64_t)realm_secondary_start, top);
    wait_for_rec1(!denied);
    check_equal((uint64_t)status, denied ? (uint64_t)PSCI_DENIED : PSCI_SUCCESS, denied ? "is denied" : "succeeds");
    check_equal(rec1_ran, !denied, denied ? "REC 1 never runs" : "REC 1 runs");
    check_equal((uint64_t)psci_affinity_info(1, 0), PSCI_AFFINITY_OFF, denied ? "and is off" : "and turned itself off");
    if (denied)
        return;
    wait_here = 1;
    check_equal((uint64_t)psci_cpu_on(1, (uint64_t)realm_secondary_start, top), PSCI_SUCCESS, "it can be started again");
    check_equal((uint64_t)psci_affinity_info(1, 0), PSCI_AFFINITY_ON, "then it is on");
    check_equal((uint64_t)psci_cpu_on(1, (uint64_t)realm_secondary_start, top), (uint64_t)PSCI_ALREADY_ON,
                "and cannot be started now");
    wait_here = 0;
    wait_for_rec1(2);
    check_equal(rec1_ran, 2, "REC 1 runs again");
}

/* ---- MMIO ---- */

static void mmio(void)
{
    uint64_t uart = realm_entry.uart, page = uart & ~realm_entry.shared_bit;
    struct behaviour sea = behaviour(CCAB_BEHAVE_INJECT_SEA, page);
    struct behaviour ignore = behaviour(CCAB_BEHAVE_IGNORE_MMIO, page);
    title("MMIO", sea.on || ignore.on);
    taken = 0;
    uint32_t flags = mmio_read32(uart + PL011_FR);
    if (sea.on) {
        check_equal(taken, 1, "a load meets an abort");
        check_equal(esr, ABORT(EXTERNAL), "its syndrome is that of an external abort");
        check_equal(far, uart + PL011_FR, "FAR is the address");
    } else {
        check_equal(flags, PL011_FR_TXFE | PL011_FR_RXFE, "a load brings what the host answers");
    }
    taken = 0;
    mmio_write32(uart + PL011_DR, '\n');
    if (sea.on) {
        check_equal(taken, 1, "a store meets an abort");
        check_equal(esr, ABORT(EXTERNAL | WNR), "its syndrome is that of an external abort of a write");
        check_equal(far, uart + PL011_DR, "FAR is the address");
    } else {
        check_equal(taken, 0, "a store meets none");
    }
    uint64_t ignored = behaviour(CCAB_BEHAVE_IGNORE_MMIO, page).met;
    check(ignore.on ? ignored > 0 : ignored == 0, ignore.on ? "the access exited until the host answered"
                                                            : "no exit was in vain");
}

/* ---- eviction ---- */

static void evicted_ram(void)
{
    uint64_t page = realm_entry.ram_base + 12 * MIB, next = 0, response = 0;
    volatile uint64_t *word = (volatile uint64_t *)page;
    struct behaviour evict = behaviour(CCAB_BEHAVE_EVICT, page);
    title("a page of RAM", evict.on != 0);
    *word = PATTERN;
    unsigned calls = 0;
    while (ripas_of(page) == RSI_RIPAS_RAM && calls < (evict.on ? PATIENCE : 50)) {
        yield();
        calls++;
    }
    if (!evict.on) {
        check_equal(ripas_of(page), RSI_RIPAS_RAM, "stays RAM");
        check_equal(*word, PATTERN, "and keeps what it holds");
        return;
    }
    check_equal(ripas_of(page), RSI_RIPAS_DESTROYED, "the host takes it: RIPAS is DESTROYED");
    if (evict.argument == CCAB_EVICT_REPORT) {
        print("  reaching for it\n");
        (void)*word;
        check(0, "the access comes back");
        return;
    }
    rsi_ipa_state_set(page, page + GRANULE, RSI_RIPAS_RAM, 0, &next, &response);
    check_equal(response, REJECT, "without CHANGE_DESTROYED it is not RAM again");
    check_equal(change(page, page + GRANULE, RSI_RIPAS_RAM, 1), 1, "with it, it is");
    check_equal(ripas_of(page), RSI_RIPAS_RAM, "RIPAS is RAM");
    check_equal(*word, 0, "what it held is gone");
    *word = PATTERN;
    check_equal(*word, PATTERN, "and it can be used");
}

static void evicted_alias(void)
{
    uint64_t page = realm_entry.ram_base + 13 * MIB, alias = page | realm_entry.shared_bit;
    volatile uint64_t *word = (volatile uint64_t *)alias;
    struct behaviour evict = behaviour(CCAB_BEHAVE_EVICT, alias);
    if (behaviour(CCAB_BEHAVE_REJECT_RIPAS, page).on)
        return; /* no page can be shared */
    title("a shared page", evict.on != 0);
    if (!check_equal(change(page, page + GRANULE, RSI_RIPAS_EMPTY, 0), 1, "is given up by the realm"))
        return;
    *word = PATTERN;
    for (unsigned i = 0; i < PATIENCE && behaviour(CCAB_BEHAVE_EVICT, alias).met < evict.on; i++)
        yield();
    check_equal(behaviour(CCAB_BEHAVE_EVICT, alias).met != 0, evict.on, evict.on ? "the host unmaps it" : "stays mapped");
    taken = 0;
    check_equal(*word, PATTERN, evict.on ? "an access maps it again, as it was" : "and keeps what it holds");
    check_equal(taken, 0, "the realm meets no exception");
}

/* ---- interrupts ---- */

/* Arms CNTV and takes its interrupt: host calls that came back with the timer asserted and no interrupt. */
static uint64_t timer(void)
{
    uint64_t late = 0, before = interrupts;
    write_sysreg(cntv_tval_el0, 1000);
    write_sysreg(cntv_ctl_el0, TIMER_ON);
    isb();
    while (interrupts == before && late < PATIENCE) {
        if ((read_sysreg(cntv_ctl_el0) & 7) != TIMER_FIRES) {
            __asm__ volatile("wfi" ::: "memory");
            continue;
        }
        uint64_t gprs[4] = {0};
        ask_host(CCAB_HC_NOP, gprs);
        late += interrupts == before;
    }
    return late;
}

/* Gives the host time for interrupts that nothing asks for; others it may have listed as soon as one ended. */
static void wait_for_more(void)
{
    for (unsigned i = 0; i < 20; i++)
        yield();
}

static void timers(void)
{
    struct behaviour delay = behaviour(CCAB_BEHAVE_DELAY_INTERRUPT, INTID_CNTV);
    struct behaviour twice = behaviour(CCAB_BEHAVE_DUPLICATE_INTERRUPT, INTID_CNTV);
    title("a timer", delay.on || twice.on);
    write_sysreg(S3_0_C4_C6_0, 0xf0); /* ICC_PMR_EL1 */
    write_sysreg(S3_0_C12_C12_7, 1);  /* ICC_IGRPEN1_EL1 */
    __asm__ volatile("isb\n msr daifclr, #2" ::: "memory");
    uint64_t late = timer();
    wait_for_more(); /* before anything is printed, which calls the host */
    check_equal(interrupts - spurious, 1, "its interrupt comes while it is asserted");
    if (delay.on)
        check(late + 2 >= delay.argument && late <= delay.argument, "so many exits late");
    else
        check_equal(late, 0, "at once");
    check_equal(spurious, twice.on, twice.on ? "and once more, with the timer quiet" : "and only once");
    timer();
    check_equal(interrupts - spurious, 2, "armed again, it comes again");
    check_equal(behaviour(CCAB_BEHAVE_DELAY_INTERRUPT, INTID_CNTV).met, 2 * delay.on,
                delay.on ? "the host held both back" : "the host held nothing back");
    wait_for_more();
    check_equal(strange, 0, "nothing else interrupts");
    __asm__ volatile("msr daifset, #2" ::: "memory");
}

int main(void)
{
    ripas();
    cpu_on();
    mmio();
    evicted_ram();
    evicted_alias();
    timers();
    return checks_end("awkward");
}
