/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stage 2 of the Normal world: 4K granule, 32-bit IPA, level 1 to level 3 (DDI 0487 D8.3). */
#ifndef STAGE2_H
#define STAGE2_H

#include <stdint.h>

#define S2_RO (1UL << 6)
#define S2_RW (3UL << 6)

struct stage2 {
    uint64_t *root;
    uint16_t vmid;
};

void s2_init(struct stage2 *s2, uint16_t vmid);
/* Maps a page of Normal memory with S2_RO or S2_RW. */
void s2_map(struct stage2 *s2, uint64_t ipa, uint64_t pa, uint64_t rights);
/* The PA that an IPA is mapped to, 0 for none. */
uint64_t s2_pa(const struct stage2 *s2, uint64_t ipa);
/* Writes VTCR_EL2 and VTTBR_EL2.  Nothing is invalidated: what the TLBs hold of another VMID is not used. */
void s2_load(const struct stage2 *s2);
/* Invalidates what the TLBs hold of the VMID that is loaded. */
void s2_flush(void);

#endif
