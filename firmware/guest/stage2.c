/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stage2.h"
#include "vmm.h"

#define ADDRESS 0x0000fffffffff000UL
#define VALID 1UL
#define TABLE 3UL
#define PAGE 3UL
#define NORMAL (0xfUL << 2) /* MemAttr: write-back */
#define INNER (3UL << 8)
#define AF (1UL << 10)

/* T0SZ 32, start at level 1, walks inner shareable write-back, 4K, PS 40 bits; bit 31 is RES1. */
#define VTCR (32UL | 1UL << 6 | 1UL << 8 | 1UL << 10 | 3UL << 12 | 2UL << 16 | 1UL << 31)

void s2_init(struct stage2 *s2, uint16_t vmid)
{
    s2->root = (uint64_t *)pool_take(1);
    s2->vmid = vmid;
}

/* The level 3 entry of an IPA below 4G; 0 where a table is missing and none shall be made. */
static uint64_t *entry(const struct stage2 *s2, uint64_t ipa, int make)
{
    uint64_t *table = s2->root;
    for (int shift = 30; shift > 12; shift -= 9) {
        uint64_t *at = &table[ipa >> shift & 511];
        if (!(*at & VALID)) {
            if (!make)
                return 0;
            *at = pool_take(1) | TABLE;
        }
        table = (uint64_t *)(*at & ADDRESS);
    }
    return &table[ipa >> 12 & 511];
}

void s2_flush(void)
{
    dsb();
    __asm__ volatile("tlbi vmalls12e1is" ::: "memory");
    dsb();
    isb();
}

void s2_map(struct stage2 *s2, uint64_t ipa, uint64_t pa, uint64_t rights)
{
    uint64_t *at = entry(s2, ipa, 1);
    if (*at & VALID) {
        /* Break before make. */
        *at = 0;
        s2_flush();
    }
    *at = pa | rights | NORMAL | INNER | AF | PAGE;
    dsb();
}

uint64_t s2_pa(const struct stage2 *s2, uint64_t ipa)
{
    const uint64_t *at = ipa >> 32 ? 0 : entry(s2, ipa, 0);
    return at && *at & VALID ? (*at & ADDRESS) | (ipa & ~ADDRESS) : 0;
}

void s2_load(const struct stage2 *s2)
{
    write_sysreg(vtcr_el2, VTCR);
    write_sysreg(vttbr_el2, (uint64_t)s2->root | (uint64_t)s2->vmid << 48);
    isb();
}
