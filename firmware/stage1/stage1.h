/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stage 1 translation tables: 4K granule, 48-bit VA, level 0 to level 3, for EL1 or EL2. */
#ifndef STAGE1_H
#define STAGE1_H

#include "arch.h"

#define S1_VALID 0x1UL
#define S1_PAGE 0x3UL
#define S1_TABLE 0x3UL
#define S1_NORMAL (0UL << 2) /* AttrIndx 0 */
#define S1_DEVICE (1UL << 2) /* AttrIndx 1 */
#define S1_NS (1UL << 5) /* Secure state: the output address is Non-secure */
#define S1_TABLE_NS (1UL << 63)
#define S1_RO (1UL << 7)
#define S1_SH_INNER (3UL << 8)
#define S1_AF (1UL << 10)
#define S1_PXN (1UL << 53)
#define S1_XN (1UL << 54)
#define S1_EL2 (1UL << 6) /* AP[1] is RES1 at EL2 */

#define S1_DATA (S1_NORMAL | S1_SH_INNER | S1_AF | S1_XN | S1_PXN)
#define S1_CODE (S1_NORMAL | S1_SH_INNER | S1_AF)
#define S1_MMIO (S1_DEVICE | S1_AF | S1_XN | S1_PXN)

struct stage1 {
    uint64_t *root;
    uint64_t *spare; /* tables not yet used, zero, next to each other */
    unsigned left;
};

/* `tables`: `count` zeroed pages, the first of which becomes the level 0 table. */
void s1_init(struct stage1 *s1, void *tables, unsigned count);
/* The level-`level` entry that translates `va`, with the tables above it; 0 when the spare tables are used up. */
uint64_t *s1_entry(struct stage1 *s1, uint64_t va, int level);
/* Maps `size` bytes (a multiple of the granule) at level 3 or, where alignment allows, by 2M and 1G blocks.
 * 0 when the spare tables are used up. */
int s1_map(struct stage1 *s1, uint64_t va, uint64_t pa, uint64_t size, uint64_t attributes);

/* Turn the MMU and caches on at the current EL, with these tables. */
void s1_enable_el1(const struct stage1 *s1);
void s1_enable_el2(const struct stage1 *s1);

/* After a change of a descriptor for one page. */
static inline void s1_flush_el1(uint64_t va)
{
    dsb();
    __asm__ volatile("tlbi vaae1, %0" ::"r"(va >> 12 & 0xfffffffffffUL) : "memory");
    dsb();
    isb();
}

static inline void s1_flush_el2(uint64_t va)
{
    dsb();
    __asm__ volatile("tlbi vae2, %0" ::"r"(va >> 12 & 0xfffffffffffUL) : "memory");
    dsb();
    isb();
}

#endif
