/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Needs what a host may get wrong: its last page, a shared page, a device, another REC, a timer's interrupt.  An external
 * abort is tried again for ever, as by a guest that prints nothing and hangs. */
#include "realm.h"
#include "check.h"
#include "psci.h"

#define TICKS 2000UL
#define TIMER_ON 1UL
#define VECTOR_SYNC 4 /* of the current EL, with SP_ELx */

static _Alignas(16) uint64_t stack[512];
static _Alignas(0x1000) uint64_t shared[512];
static volatile uint64_t second_ran;

void realm_exception(struct frame *frame)
{
    if (frame->vector == VECTOR_SYNC && ESR_FSC(frame->esr) == 0x10)
        return; /* to the instruction */
    realm_exit(REALM_EXCEPTION);
}

static _Noreturn void second(void)
{
    second_ran = 1;
    psci_cpu_off();
    realm_exit(96);
}

static int shares(void)
{
    uint64_t base = (uint64_t)shared, next, response;
    if (rsi_ipa_state_set(base, base + GRANULE, RSI_RIPAS_EMPTY, 0, &next, &response) != RSI_SUCCESS || response)
        return 0;
    volatile uint64_t *alias = (volatile uint64_t *)(base | realm_entry.shared_bit);
    *alias = 42;
    return *alias == 42;
}

static int starts_the_other(void)
{
    uint64_t *top = &stack[510];
    *top = (uint64_t)second;
    return psci_cpu_on(1, (uint64_t)realm_secondary_start, (uint64_t)top) == PSCI_SUCCESS;
}

/* Interrupts stay masked: a pending one ends the WFI, and nothing else does. */
static int sleeps(void)
{
    write_sysreg(icc_sre_el1, 1);
    isb();
    write_sysreg(icc_pmr_el1, 0xff);
    write_sysreg(icc_igrpen1_el1, 1);
    write_sysreg(cntv_cval_el0, read_sysreg(cntvct_el0) + TICKS);
    write_sysreg(cntv_ctl_el0, TIMER_ON);
    isb();
    while (read_sysreg(icc_hppir1_el1) != 27)
        __asm__ volatile("wfi" ::: "memory");
    write_sysreg(cntv_ctl_el0, 0);
    isb();
    return 1;
}

int main(void)
{
    volatile uint64_t *last = (volatile uint64_t *)(realm_entry.ram_base + realm_entry.ram_size - GRANULE);
    /* The personalization value says whether it has forgotten the shared bit. */
    uint64_t uart = realm_entry.uart & ~(personalization_number() ? realm_entry.shared_bit : 0);
    *last = 1;
    mmio_write32(uart + PL011_DR, '\n');
    if (*last != 1 || !shares() || !starts_the_other())
        return 1;
    if (!sleeps())
        return 2;
    print("all that it needs is there\n");
    return 0;
}
