/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scalable vectors in a realm: the length that was asked for and none longer, or nothing at all.
 * The personalization value says what to expect: the vector length in bits, in decimal. */
#include "check.h"

#define ZCR_EL1 "S3_0_C1_C2_0"
#define CPACR_ZEN (3UL << 16)
#define CPACR_FPEN (3UL << 20)
#define UNDEFINED (1UL << 25) /* EC 0, IL */
#define SVE_TRAP (0x19UL << 26 | 1UL << 25)
#define LONGEST 256 /* bytes */

#define SVE ".arch_extension sve\n\t"

static volatile unsigned taken;
static volatile uint64_t esr;

void realm_exception(struct frame *frame)
{
    taken++;
    esr = frame->esr;
    frame->elr += 4;
}

static uint64_t cpacr(uint64_t value)
{
    __asm__ volatile("msr cpacr_el1, %0\n\tisb" ::"r"(value));
    return value;
}

static void set_length(uint64_t len)
{
    __asm__ volatile("msr " ZCR_EL1 ", %0\n\tisb" ::"r"(len));
}

/* Bytes of a vector. */
static uint64_t length(void)
{
    uint64_t bytes = 0;
    __asm__ volatile(SVE "rdvl %0, #1" : "+r"(bytes));
    return bytes;
}

/* out = a + b over `bytes` bytes by predicated loads and stores; what lies beyond stays untouched. */
static void add(uint8_t *out, const uint8_t *a, const uint8_t *b, uint64_t bytes)
{
    uint64_t i = 0;
    __asm__ volatile(SVE "whilelo p0.b, %0, %1\n"
                     "1: ld1b {z0.b}, p0/z, [%2, %0]\n"
                     "   ld1b {z1.b}, p0/z, [%3, %0]\n"
                     "   add z0.b, z0.b, z1.b\n"
                     "   st1b {z0.b}, p0, [%4, %0]\n"
                     "   incb %0\n"
                     "   whilelo p0.b, %0, %1\n"
                     "   b.mi 1b\n"
                     : "+r"(i)
                     : "r"(bytes), "r"(a), "r"(b), "r"(out)
                     : "cc", "memory");
}

static void vectors(uint64_t bits)
{
    static uint8_t a[3 * LONGEST], b[3 * LONGEST], sum[3 * LONGEST];
    cpacr(CPACR_FPEN);
    taken = 0;
    length();
    check(taken == 1 && esr == SVE_TRAP, "CPACR_EL1.ZEN traps to EL1 with EC 0x19");
    cpacr(CPACR_FPEN | CPACR_ZEN);

    set_length(15);
    print("  a vector has %lu bits\n", length() * 8);
    check_equal(length() * 8, bits, "the vector length is the realm's, and no longer can be had");
    for (uint64_t len = 0; len <= bits / 128 - 1; len++) {
        set_length(len);
        if (length() != 16 * (len + 1))
            check_equal(length(), 16 * (len + 1), "ZCR_EL1 makes it shorter");
    }
    set_length(15);
    uint64_t odd = 2 * length() + 5, wrong = 0;
    for (uint64_t i = 0; i < sizeof a; i++) {
        a[i] = (uint8_t)(3 * i);
        b[i] = (uint8_t)(7 * i + 1);
    }
    add(sum, a, b, odd);
    for (uint64_t i = 0; i < sizeof sum; i++)
        wrong += sum[i] != (i < odd ? (uint8_t)(10 * i + 1) : 0);
    check_equal(wrong, 0, "a predicated loop adds what it should and writes no more");
}

static void nothing(void)
{
    cpacr(CPACR_FPEN | CPACR_ZEN);
    taken = 0;
    length();
    check(taken == 1 && esr == UNDEFINED, "an SVE instruction is undefined");
    taken = 0;
    set_length(0);
    check(taken == 1 && esr == UNDEFINED, "and so is ZCR_EL1");
}

int main(void)
{
    uint64_t bits = personalization_number(), pfr0, zfr0;
    __asm__ volatile("mrs %0, id_aa64pfr0_el1" : "=r"(pfr0));
    __asm__ volatile("mrs %0, S3_0_C0_C4_4" : "=r"(zfr0));
    print("sve: this realm was made with %lu-bit vectors\n", bits);
    check_equal(pfr0 >> 32 & 0xf, bits != 0, "ID_AA64PFR0_EL1.SVE says so");
    check(bits || zfr0 == 0, "ID_AA64ZFR0_EL1 is zero without it");
    if (bits)
        vectors(bits);
    else
        nothing();
    return checks_failed != 0;
}
