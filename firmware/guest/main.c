/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A hypervisor of the Normal world: runs a guest at EL1 behind a stage 2 of its own, answers its calls, supplies its
 * memory, emulates its device, and gives its aborts back to it. */
#include "hvc.h"
#include "stage2.h"
#include "vmm.h"

#define VECTOR_LOWER_SYNC 8
#define EC_HVC64 0x16

#define ISS_ISV (1UL << 24)
#define ISS_SSE (1UL << 21)
#define ISS_SF (1UL << 15)
#define ISS_WNR (1UL << 6)
#define ISS_S1PTW (1UL << 7)
#define FSC_TYPE 0x3cUL
#define FSC_PERMISSION 0x0cUL
#define FSC_EXTERNAL 0x10UL
#define ESR_IL (1UL << 25)
#define EC_SAME_EL (1UL << 26)

#define HCR (1UL << 31 | 1UL << 19 | 1UL << 13 | 1UL << 1 | 1UL) /* RW, TSC, TWI, SWIO, VM */
#define SPSR_EL1H 0x3c5UL
#define SPSR_EL2H 0x3c9UL
#define PAR_F 1UL
#define PAR_PA 0x0000fffffffff000UL

static struct stage2 views[2];
static struct stage2 *s2 = &views[0];
static uint64_t counts[EXITS];
static uint8_t device[GUEST_DEVICE_SIZE];
static uint64_t image_before; /* checksum of the image as it was loaded */
static unsigned made, passed;

static void check_equal(uint64_t got, uint64_t expected, const char *what)
{
    made++;
    passed += got == expected;
    if (got == expected)
        print("  ok   %s\n", what);
    else
        print("  FAIL %s: 0x%lx, expected 0x%lx\n", what, got, expected);
}

/* ---- the end ---- */

static _Noreturn void finished(void)
{
    check_equal(fnv1a((const void *)GUEST_RAM, GUEST_IMAGE_SIZE), image_before,
                "the guest wrote to its own copy and not to what stands at the same PA");
    check_equal(read_sysreg(hcr_el2), HCR, "HCR_EL2 is as it was set");
    print("guest: %u of %u checks passed\n", passed, made);
    host_exit(passed != made);
}

static void end(struct frame *frame, uint64_t guest_made, uint64_t guest_passed)
{
    made += (unsigned)guest_made;
    passed += (unsigned)guest_passed;
    if (!guest_made)
        passed = made + 1;
    frame->elr = (uint64_t)finished;
    frame->spsr = SPSR_EL2H;
}

/* ---- calls ---- */

static uint64_t puts(uint64_t ipa, uint64_t length)
{
    if (length > GRANULE)
        return HVC_UNKNOWN;
    for (; length; length--, ipa++) {
        uint64_t pa = s2_pa(s2, ipa);
        if (!pa)
            return HVC_UNKNOWN;
        console_write((const char *)pa, 1);
    }
    return 0;
}

/* The second view is made at the first switch: all pages of the first, but for one. */
static uint64_t switch_view(uint64_t different)
{
    if (!views[1].root) {
        s2_init(&views[1], 6);
        for (uint64_t ipa = GUEST_RAM; ipa < GUEST_RAM + GUEST_RAM_SIZE; ipa += GRANULE)
            if (s2_pa(s2, ipa))
                s2_map(&views[1], ipa, ipa == different ? pool_take(1) : s2_pa(s2, ipa), S2_RW);
    }
    s2 = s2 == &views[0] ? &views[1] : &views[0];
    s2_load(s2);
    return s2->vmid;
}

static void call(struct frame *frame)
{
    uint64_t *x = frame->x;
    counts[EXIT_HVC]++;
    switch (x[0]) {
    case HVC_NEXT:
        x[0] = x[1] + x[2];
        break;
    case HVC_PUTS:
        x[0] = puts(x[1], x[2]);
        break;
    case HVC_COUNT:
        x[0] = x[1] < EXITS ? counts[x[1]] : HVC_UNKNOWN;
        break;
    case HVC_READ_ONLY:
        if (s2_pa(s2, x[1]))
            s2_map(s2, x[1], s2_pa(s2, x[1]) & ~(GRANULE - 1), S2_RO);
        x[0] = s2_pa(s2, x[1]) ? 0 : HVC_UNKNOWN;
        break;
    case HVC_SWITCH:
        x[0] = s2_pa(s2, x[1]) ? switch_view(x[1] & ~(GRANULE - 1)) : HVC_UNKNOWN;
        break;
    case HVC_END:
        end(frame, x[1], x[2]);
        break;
    default:
        x[0] = HVC_UNKNOWN;
    }
}

static void monitor_call(struct frame *frame)
{
    counts[EXIT_SMC]++;
    frame->x[0] = frame->x[0] == SMC_ANSWERED ? 0x10001 : HVC_UNKNOWN;
    frame->elr += 4; /* a trapped SMC is not stepped over (DDI 0487 D1.3.6) */
}

/* ---- aborts ---- */

/* The guest takes a synchronous external abort where it is. */
static void give_back(struct frame *frame, uint64_t far)
{
    counts[EXIT_OUTSIDE]++;
    int el1 = (frame->spsr & 0xf) != 0;
    uint64_t keep = ESR_IL | ISS_WNR | 0x3fUL << 26;
    write_sysreg(esr_el1, ((frame->esr & keep) | FSC_EXTERNAL) + (el1 ? EC_SAME_EL : 0));
    write_sysreg(far_el1, far);
    write_sysreg(elr_el1, frame->elr);
    write_sysreg(spsr_el1, frame->spsr);
    frame->elr = read_sysreg(vbar_el1) + (el1 ? 0x200 * (frame->spsr & 1) : 0x400);
    frame->spsr = SPSR_EL1H;
}

static int mmio(struct frame *frame, uint64_t offset)
{
    uint64_t esr = frame->esr, size = 1UL << (esr >> 22 & 3), reg = esr >> 16 & 31, value = 0;
    if (!(esr & ISS_ISV) || offset + size > GUEST_DEVICE_SIZE)
        return 0;
    counts[EXIT_MMIO]++;
    frame->elr += 4;
    if (esr & ISS_WNR) {
        value = reg == 31 ? 0 : frame->x[reg];
        for (uint64_t i = 0; i < size; i++)
            device[offset + i] = (uint8_t)(value >> 8 * i);
        return 1;
    }
    for (uint64_t i = 0; i < size; i++)
        value |= (uint64_t)device[offset + i] << 8 * i;
    if (esr & ISS_SSE && size < 8 && value >> (8 * size - 1))
        value |= ~0UL << 8 * size;
    if (!(esr & ISS_SF))
        value &= 0xffffffff;
    if (reg != 31)
        frame->x[reg] = value;
    return 1;
}

/* The IPA of a fault: after a permission fault HPFAR_EL2 need not have it (DDI 0487 D24.2.70). */
static uint64_t fault_ipa(const struct frame *frame)
{
    uint64_t page = (read_sysreg(hpfar_el2) & ~0xfUL) << 8;
    if ((frame->esr & FSC_TYPE) == FSC_PERMISSION && !(frame->esr & ISS_S1PTW)) {
        __asm__ volatile("at s1e1r, %0\n isb" ::"r"(frame->far) : "memory");
        uint64_t par = read_sysreg(par_el1);
        page = par & PAR_F ? 0 : par & PAR_PA;
    }
    return page | (frame->far & (GRANULE - 1));
}

static void abort_of_guest(struct frame *frame)
{
    uint64_t far = frame->far, ipa = fault_ipa(frame), page = ipa & ~(GRANULE - 1);
    uint64_t pa = s2_pa(s2, page);
    if (page == GUEST_DEVICE && ESR_EC(frame->esr) == EC_DABORT_LOWER && mmio(frame, ipa - page))
        return;
    if (pa && (frame->esr & FSC_TYPE) == FSC_PERMISSION && frame->esr & ISS_WNR) {
        counts[EXIT_DIRTY]++;
        s2_map(s2, page, pa, S2_RW);
    } else if (!pa && page >= GUEST_RAM && page < GUEST_RAM + GUEST_RAM_SIZE) {
        counts[EXIT_DEMAND]++;
        s2_map(s2, page, pool_take(1), S2_RW);
    } else {
        give_back(frame, far);
    }
}

void host_exception(struct frame *frame)
{
    if (frame->vector == VECTOR_LOWER_SYNC) {
        switch (ESR_EC(frame->esr)) {
        case EC_HVC64:
            return call(frame);
        case EC_SMC64:
            return monitor_call(frame);
        case EC_WFX:
            counts[EXIT_WFI]++;
            frame->elr += 4;
            return;
        case EC_IABORT_LOWER:
        case EC_DABORT_LOWER:
            return abort_of_guest(frame);
        }
    }
    print("guest: exception (vector %lu) at PC 0x%lx: ESR_EL2 0x%lx, FAR_EL2 0x%lx\n", frame->vector, frame->elr,
          frame->esr, frame->far);
    host_exit(HOST_EXCEPTION);
}

/* ---- the beginning ---- */

static _Noreturn void enter(void)
{
    write_sysreg(elr_el2, GUEST_RAM);
    write_sysreg(spsr_el2, SPSR_EL1H);
    isb();
    register uint64_t x0 __asm__("x0") = GUEST_RAM;
    register uint64_t x1 __asm__("x1") = GUEST_RAM_SIZE;
    __asm__ volatile("mov x2, #0\n mov x3, #32\n mov x4, #0\n eret" ::"r"(x0), "r"(x1) : "x2", "x3", "x4", "memory");
    __builtin_unreachable();
}

int main(const struct ccab_host_info *info, uint64_t x1, uint64_t x2, uint64_t x3)
{
    (void)x1, (void)x2, (void)x3;
    if (!info || info->magic != CCAB_INFO_MAGIC || info->version != CCAB_INFO_VERSION)
        return 2;
    pool_init(info->pool_pa, info->pool_size);
    image_before = fnv1a((const void *)GUEST_RAM, GUEST_IMAGE_SIZE);
    s2_init(s2, 5);
    /* Backwards, so that no page stands where its IPA says, and neighbours are none. */
    for (uint64_t offset = GUEST_IMAGE_SIZE; offset; offset -= GRANULE) {
        uint64_t page = pool_take(1), source = GUEST_RAM + offset - GRANULE;
        memcpy((void *)page, (const void *)source, GRANULE);
        for (uint64_t line = page; line < page + GRANULE; line += 64)
            __asm__ volatile("dc cvau, %0" ::"r"(line) : "memory");
        s2_map(s2, source, page, S2_RW);
    }
    dsb();
    __asm__ volatile("ic iallu\n dsb sy\n isb" ::: "memory");
    s2_load(s2);
    s2_flush();
    write_sysreg(vmpidr_el2, GUEST_MPIDR);
    write_sysreg(hcr_el2, HCR);
    write_sysreg(sctlr_el1, 0x30d00800); /* its RES1 bits: MMU off */
    isb();
    print("guest: starts at IPA 0x%lx, which is PA 0x%lx\n", GUEST_RAM, s2_pa(s2, GUEST_RAM));
    enter();
}
