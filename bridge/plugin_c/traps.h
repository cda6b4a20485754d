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
#define HCR_RW (1ull << 31)
#define HCR_E2H (1ull << 34)
#define HCR_TERR (1ull << 36)
#define HCR_TEA (1ull << 37)
#define HCR_FWB (1ull << 46)
#define HCR_GPF (1ull << 48)
#define HCR_HOST (HCR_E2H | HCR_TGE) /* both: EL0 belongs to the host at EL2 */

#define HCR_EL2 CCA_SYSREG(3, 4, 1, 1, 0)
#define CPACR_EL1 CCA_SYSREG(3, 0, 1, 0, 2)
#define CPTR_EL2 CCA_SYSREG(3, 4, 1, 1, 2)
#define CNTHCTL_EL2 CCA_SYSREG(3, 4, 14, 1, 0)

#define ESR_IL (1ull << 25)
#define EC(n) ((uint64_t)(n) << 26)

/* HCR_EL2 of a context whose EL2 is emulated; 0 of one whose EL2 is firmware outside of it. */
uint64_t cca_hcr(struct cca_core *c);

/* The level that takes an exception of the current context which no trap routes elsewhere. */
unsigned cca_own_target(struct cca_core *c, unsigned el);

/* The level that takes its debug exceptions (HCR_EL2.TGE, MDCR_EL2.TDE). */
unsigned cca_debug_target(struct cca_core *c, unsigned el);

/*
 * What the engine lets pass and this machine does not: looked for in each block, before it runs, while `watch` says
 * that there may be something to find.
 */
enum cca_watch {
    WATCH_STALE = 1,   /* a register that decides was written: the others are to be worked out anew */
    WATCH_ILLEGAL = 2, /* an SPSR would return with PSTATE.IL: the engine sets it and goes on */
    WATCH_FP = 4,      /* SIMD&FP instructions trap at some level */
    WATCH_WFE = 8,     /* HCR_EL2.TWE */
};

static inline void cca_watch_stale(struct cca_core *c)
{
    c->watch |= WATCH_STALE;
    c->deadline = 0;
}

/* An SPSR value that ERET from `el` may not return by. */
bool cca_spsr_illegal(struct cca_core *c, unsigned el, uint64_t spsr);

/* The block is not to be run as it stands: the engine has been asked to stop before it. */
bool cca_watch_block(struct cca_core *c, uint64_t pc, uint32_t bytes);

/* The stop asked for is for a trap further on in the block, up to which it is to be run. */
bool cca_watch_goes_on(const struct cca_core *c);

/* The stop that cca_watch_block asked for has come. */
void cca_watch_stopped(struct cca_core *c);

/* watchpoints.c */
void cca_watchpoints_written(struct cca_core *c);
bool cca_watchpoint_page(struct cca_core *c, uint64_t va); /* accesses to the page have to be looked at */
bool cca_watchpoint_hit(struct cca_core *c, const struct cca_ldst *d, unsigned el, uint64_t *address);
void cca_watchpoint_take(struct cca_core *c, const struct cca_ldst *d, unsigned el, uint64_t pc, uint64_t address);
void cca_watchpoint_pass(struct cca_core *c, unsigned el, uint64_t pc);

#endif
