/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stage1.h"

#define ADDRESS 0x0000fffffffff000UL
#define MAIR 0x00ffUL /* 0: Normal write-back, 1: Device-nGnRnE */
/* T0SZ 16, walks inner shareable write-back, 4K. */
#define TCR_COMMON (16UL | 1UL << 8 | 1UL << 10 | 3UL << 12)
#define TCR_EL1 (TCR_COMMON | 1UL << 23 | 5UL << 32)
#define TCR_EL2 (TCR_COMMON | 5UL << 16 | 1UL << 23 | 1UL << 31)
#define SCTLR_M_C_I (1UL | 1UL << 2 | 1UL << 12)

void s1_init(struct stage1 *s1, void *tables, unsigned count)
{
    s1->root = tables;
    s1->spare = s1->root + 512;
    s1->left = count - 1;
}

uint64_t *s1_entry(struct stage1 *s1, uint64_t va, int level)
{
    uint64_t *table = s1->root;
    for (int at = 0;; at++) {
        uint64_t *entry = &table[va >> (39 - 9 * at) & 511];
        if (at == level)
            return entry;
        if (!(*entry & S1_VALID)) {
            if (!s1->left)
                return 0;
            *entry = (uint64_t)s1->spare | S1_TABLE;
            s1->spare += 512;
            s1->left--;
        }
        table = (uint64_t *)(*entry & ADDRESS);
    }
}

int s1_map(struct stage1 *s1, uint64_t va, uint64_t pa, uint64_t size, uint64_t attributes)
{
    while (size) {
        int level = 3;
        uint64_t span = GRANULE;
        while (level > 1 && !((va | pa) & (span * 512 - 1)) && size >= span * 512) {
            span *= 512;
            level--;
        }
        uint64_t *entry = s1_entry(s1, va, level);
        if (!entry)
            return 0;
        *entry = pa | attributes | (level == 3 ? S1_PAGE : S1_VALID);
        va += span;
        pa += span;
        size -= span;
    }
    return 1;
}

void s1_enable_el1(const struct stage1 *s1)
{
    write_sysreg(mair_el1, MAIR);
    write_sysreg(tcr_el1, TCR_EL1);
    write_sysreg(ttbr0_el1, s1->root);
    dsb();
    __asm__ volatile("tlbi vmalle1" ::: "memory");
    dsb();
    isb();
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) | SCTLR_M_C_I);
    isb();
}

void s1_enable_el2(const struct stage1 *s1)
{
    write_sysreg(mair_el2, MAIR);
    write_sysreg(tcr_el2, TCR_EL2);
    write_sysreg(ttbr0_el2, s1->root);
    dsb();
    __asm__ volatile("tlbi alle2" ::: "memory");
    dsb();
    isb();
    write_sysreg(sctlr_el2, read_sysreg(sctlr_el2) | SCTLR_M_C_I);
    isb();
}
