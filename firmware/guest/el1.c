/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hypervisor's guest at EL1: sees that its two stages of translation, its device, its calls and its aborts are as
 * the architecture has them. */
#include "hvc.h"
#include "realm.h"
#include "stage1.h"

#define TABLES 10
#define MIB 0x100000UL
#define UNUSED 0xc0000000UL /* VA that nothing is mapped to */
#define ALIAS 0x4000000000UL /* VA of the RAM a second time */
#define ABORT(iss) ((uint64_t)EC_DABORT_SAME << 26 | 1UL << 25 | (iss))
#define WNR 0x40UL
#define EXTERNAL 0x10UL
#define TRANSLATION_3 0x07UL

static uint64_t tables[TABLES * 512] __attribute__((aligned(0x1000)));
static struct stage1 s1;
static unsigned made, passed;
static volatile uint64_t taken, esr, far;

void console_write(const char *text, size_t length)
{
    hypercall(HVC_PUTS, (uint64_t)text, length);
}

_Noreturn void realm_exit(int code)
{
    (void)code;
    for (;;)
        hypercall(HVC_END, made, passed);
}

void realm_exception(struct frame *frame)
{
    if (ESR_EC(frame->esr) != EC_DABORT_SAME) {
        print("exception at PC 0x%lx: ESR_EL1 0x%lx\n", frame->elr, frame->esr);
        made++;
        realm_exit(1);
    }
    taken++;
    esr = frame->esr;
    far = frame->far;
    frame->elr += 4;
}

static void check_equal(uint64_t got, uint64_t expected, const char *what)
{
    made++;
    passed += got == expected;
    if (got == expected)
        print("  ok   %s\n", what);
    else
        print("  FAIL %s: 0x%lx, expected 0x%lx\n", what, got, expected);
}

static uint64_t count(enum exits kind)
{
    return hypercall(HVC_COUNT, kind, 0);
}

static void identity(void)
{
    check_equal(read_sysreg(currentel) >> 2, 1, "the guest runs at EL1");
    check_equal(read_sysreg(mpidr_el1), GUEST_MPIDR, "MPIDR_EL1 is the hypervisor's VMPIDR_EL2");
    check_equal(hypercall(HVC_NEXT, 40, 2), 42, "HVC is answered");
    check_equal(hypercall(99, 0, 0), HVC_UNKNOWN, "an unknown number, too");
}

static void memory(void)
{
    uint64_t fresh = GUEST_RAM + 2 * MIB;
    uint64_t before = count(EXIT_DEMAND);
    volatile uint64_t *one = (volatile uint64_t *)fresh, *two = (volatile uint64_t *)(fresh + ALIAS);
    check_equal(*one, 0, "RAM that was never touched is supplied, zero");
    check_equal(count(EXIT_DEMAND) - before, 1, "by one exit");
    *one = 0x1111;
    check_equal(*two, 0x1111, "a second VA of it (stage 1) reaches the same memory (stage 2)");
    two[1] = 0x2222;
    check_equal(one[1], 0x2222, "in both directions");
    check_equal(count(EXIT_DEMAND) - before, 1, "without another exit");

    before = count(EXIT_DIRTY);
    check_equal(hypercall(HVC_READ_ONLY, fresh, 0), 0, "the hypervisor makes the page read-only");
    check_equal(two[1], 0x2222, "it can be read");
    check_equal(count(EXIT_DIRTY) - before, 0, "without an exit");
    two[2] = 0x3333;
    one[3] = 0x4444;
    check_equal(count(EXIT_DIRTY) - before, 1, "the first store exits");
    check_equal(one[2] + two[3], 0x7777, "and both are done");
}

/* A stage 1 table in memory that stage 2 lacks: the walk exits, and goes on when the page is there. */
static void walk(void)
{
    uint64_t table = GUEST_RAM + 3 * MIB, address = UNUSED + 0x18, value;
    uint64_t before = count(EXIT_DEMAND);
    *s1_entry(&s1, UNUSED, 2) = table | S1_TABLE;
    dsb();
    isb();
    taken = 0;
    __asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
    check_equal(count(EXIT_DEMAND) - before, 1, "a table that is not there is supplied to the walk");
    check_equal(taken, 1, "it is empty: a translation fault");
    check_equal(esr, ABORT(TRANSLATION_3), "of level 3, at stage 1");
    check_equal(far, address, "FAR_EL1 is the address");
}

static void views(void)
{
    volatile uint64_t *word = (volatile uint64_t *)(GUEST_RAM + 2 * MIB);
    *word = 1;
    check_equal(hypercall(HVC_SWITCH, (uint64_t)word, 0), 6, "the hypervisor changes VTTBR_EL2 to another VMID");
    check_equal(*word, 0, "the same address is another page");
    *word = 2;
    check_equal(hypercall(HVC_SWITCH, (uint64_t)word, 0), 5, "and back");
    check_equal(*word, 1, "the first page is as it was");
    hypercall(HVC_SWITCH, (uint64_t)word, 0);
    check_equal(*word, 2, "so is the second");
    hypercall(HVC_SWITCH, (uint64_t)word, 0);
}

static void mmio(void)
{
    uint64_t base = GUEST_DEVICE, before = count(EXIT_MMIO), value;
    __asm__ volatile("str %0, [%1]" ::"r"(0x8877665544332281UL), "r"(base) : "memory");
    __asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(base) : "memory");
    check_equal(value, 0x8877665544332281, "64 bits to a device and back");
    __asm__ volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(base) : "memory");
    check_equal(value, 0x81, "a byte of it");
    __asm__ volatile("ldrsb %0, [%1]" : "=r"(value) : "r"(base) : "memory");
    check_equal(value, 0xffffffffffffff81, "with its sign, to 64 bits");
    __asm__ volatile("ldrsb %w0, [%1]" : "=r"(value) : "r"(base) : "memory");
    check_equal(value, 0xffffff81, "and to 32");
    __asm__ volatile("ldrsw %0, [%1, #4]" : "=r"(value) : "r"(base) : "memory");
    check_equal(value, 0xffffffff88776655, "a word with its sign");
    __asm__ volatile("strh wzr, [%0, #2]" ::"r"(base) : "memory");
    __asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(base) : "memory");
    check_equal(value, 0x2281, "a halfword of zero");
    check_equal(count(EXIT_MMIO) - before, 8, "an exit for each access");
}

static void outside(void)
{
    uint64_t address = GUEST_RAM + GUEST_RAM_SIZE + 0x18, value;
    taken = 0;
    __asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
    check_equal(taken, 1, "a load from nowhere is an abort");
    check_equal(esr, ABORT(EXTERNAL), "an external one");
    check_equal(far, address, "FAR_EL1 is the address");
    __asm__ volatile("str xzr, [%0]" ::"r"(address + 8) : "memory");
    check_equal(esr, ABORT(EXTERNAL | WNR), "so is a store");
    check_equal(far, address + 8, "FAR_EL1 is the address");
    check_equal(count(EXIT_OUTSIDE), 2, "the hypervisor gave both back");
}

static uint64_t monitor_call(uint64_t fid)
{
    register uint64_t x0 __asm__("x0") = fid;
    __asm__ volatile("smc #0" : "+r"(x0)::"x1", "x2", "x3", "memory");
    return x0;
}

static void traps(void)
{
    check_equal(monitor_call(SMC_ANSWERED), 0x10001, "an SMC is the hypervisor's to answer");
    check_equal(monitor_call(0xc4000150), HVC_UNKNOWN, "no RMI for guests");
    check_equal(count(EXIT_SMC), 2, "both were trapped");
    __asm__ volatile("wfi" ::: "memory");
    __asm__ volatile("wfi" ::: "memory");
    check_equal(count(EXIT_WFI), 2, "WFI is trapped");
}

static int map_all(void)
{
    s1_init(&s1, tables, TABLES);
    return s1_map(&s1, GUEST_RAM, GUEST_RAM, GUEST_RAM_SIZE + 2 * MIB, S1_CODE) &&
           s1_map(&s1, GUEST_RAM + ALIAS, GUEST_RAM, GUEST_RAM_SIZE, S1_DATA) &&
           s1_map(&s1, GUEST_DEVICE, GUEST_DEVICE, GRANULE, S1_MMIO);
}

int main(void)
{
    identity();
    if (map_all())
        s1_enable_el1(&s1);
    check_equal(read_sysreg(sctlr_el1) & 1, 1, "stage 1 is on");
    memory();
    walk();
    views();
    mmio();
    outside();
    traps();
    return passed != made;
}
