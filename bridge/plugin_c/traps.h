/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where EL2's controls send what EL0 and EL1 do. */
#ifndef CCA_TRAPS_H
#define CCA_TRAPS_H

#include "core.h"

/* HCR_EL2 */
#define HCR_VM (1ull << 0)
#define HCR_DC (1ull << 12)
#define HCR_TID1 (1ull << 16)
#define HCR_TID3 (1ull << 18)
#define HCR_TIDCP (1ull << 20)
#define HCR_TWE (1ull << 14)
#define HCR_TGE (1ull << 27)
#define HCR_E2H (1ull << 34)
#define HCR_TERR (1ull << 36)
#define HCR_TEA (1ull << 37)
#define HCR_FWB (1ull << 46)
#define HCR_GPF (1ull << 48)
#define HCR_HOST (HCR_E2H | HCR_TGE) /* both: EL0 belongs to the host at EL2 */

#define ESR_IL (1ull << 25)
#define EC(n) ((uint64_t)(n) << 26)

/* HCR_EL2 of a context whose EL2 is emulated; 0 of one whose EL2 is firmware outside of it. */
uint64_t cca_hcr(struct cca_core *c);

/* The level that takes an exception of the current context which no trap routes elsewhere. */
unsigned cca_own_target(struct cca_core *c, unsigned el);

/* The level that takes its debug exceptions (HCR_EL2.TGE, MDCR_EL2.TDE). */
unsigned cca_debug_target(struct cca_core *c, unsigned el);

#endif
