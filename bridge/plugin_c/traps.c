/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where EL2's controls send what EL0 and EL1 do (Arm ARM D1.3, D13.2.48 HCR_EL2). */
#include "traps.h"

#define MDCR_TDE (1ull << 8)
#define CPTR_TZ (1ull << 8)
#define CPTR_TFP (1ull << 10)
#define PSTATE_IL (1u << 20)

#define ISS_ALWAYS ((1ull << 24) | (0xEull << 20)) /* CV, COND = always */

enum { FOUND_STEP = 1, FOUND_ILLEGAL, FOUND_FP, FOUND_SVE, FOUND_WFE };

uint64_t cca_hcr(struct cca_core *c)
{
    if (c->cfg.el != 2) return 0;
    cca_refresh_mmu(c);
    return c->mmu.hcr_el2;
}

unsigned cca_own_target(struct cca_core *c, unsigned el)
{
    if (el != 0) return el;
    return cca_hcr(c) & HCR_TGE ? 2 : 1;
}

unsigned cca_debug_target(struct cca_core *c, unsigned el)
{
    if (el == 2 || c->cfg.el != 2) return el == 0 ? 1 : el;
    if (cca_hcr(c) & HCR_TGE) return 2;
    return engine_sysreg(c->e, CCA_SYSREG(3, 4, 1, 1, 1)) & MDCR_TDE ? 2 : 1;
}

bool cca_spsr_illegal(struct cca_core *c, unsigned el, uint64_t spsr)
{
    unsigned mode = spsr & 0x1F;
    if (spsr & PSTATE_IL) return true;
    if (mode == 4 || mode == 5) return cca_hcr(c) & HCR_TGE;
    return mode != 0 && !(el == 2 && (mode == 8 || mode == 9));
}

/* A two-bit FPEN field: 0 and 2 trap all, 1 traps EL0. */
static bool fpen_traps(uint64_t fpen, bool el0)
{
    return !(fpen & 1) || (fpen == 1 && el0);
}

/* The level that a SIMD&FP instruction at `el` traps to, 0 for none (AArch64.CheckFPAdvSIMDEnabled). */
static unsigned fp_target(struct cca_core *c, unsigned el)
{
    uint64_t hcr = cca_hcr(c);
    bool host = (hcr & HCR_HOST) == HCR_HOST;
    if (el < 2 && !host && fpen_traps((engine_sysreg(c->e, CPACR_EL1) >> 20) & 3, el == 0))
        return hcr & HCR_TGE ? 2 : 1;
    if (c->cfg.el != 2) return 0;
    if (c->e2h) return fpen_traps((c->cptr >> 20) & 3, el == 0 && c->host) ? 2 : 0;
    return engine_sysreg(c->e, CPTR_EL2) & CPTR_TFP ? 2 : 0;
}

/* Whether the engine refuses SVE at `el` by itself: that trap comes before SIMD&FP's. CPTR_EL2 is in its format. */
static bool engine_traps_sve(struct cca_core *c, unsigned el)
{
    if (!((engine_sysreg(c->e, CCA_SYSREG(3, 6, 1, 1, 2)) >> 8) & 1)) return true; /* CPTR_EL3.EZ */
    if (engine_sysreg(c->e, CPTR_EL2) & CPTR_TZ) return true;
    return el < 2 && !c->host && fpen_traps((engine_sysreg(c->e, CPACR_EL1) >> 16) & 3, el == 0);
}

static bool is_sve(uint32_t insn)
{
    return (insn & 0x1E000000u) == 0x04000000u; /* op0 = 0010 */
}

/* SIMD&FP data processing, its loads and stores, FPCR and FPSR (Arm ARM C4.1). */
static bool is_fp(uint32_t insn)
{
    if ((insn & 0x0C000000u) == 0x0C000000u) return true; /* op0 = x111, and x1x0 with V = 1 */
    return (insn & 0xFFDFFFC0u) == 0xD51B4400u; /* FPCR, FPSR */
}

static void recompute(struct cca_core *c)
{
    unsigned watch = 0;
    for (unsigned el = 0; el <= 2; el++) {
        c->fp_to[el] = (uint8_t)fp_target(c, el);
        c->sve_by_engine[el] = engine_traps_sve(c, el);
        if (c->fp_to[el]) watch |= WATCH_FP;
    }
    c->zen_el0 = c->host && ((c->cptr >> 16) & 3) == 1;
    if (c->zen_el0) watch |= WATCH_FP;
    if (cca_spsr_illegal(c, 1, engine_sysreg(c->e, CCA_SYSREG(3, 0, 4, 0, 0)))) watch |= WATCH_ILLEGAL;
    if (c->cfg.el == 2) {
        if (cca_spsr_illegal(c, 2, engine_sysreg(c->e, CCA_SYSREG(3, 4, 4, 0, 0)))) watch |= WATCH_ILLEGAL;
        if (cca_hcr(c) & HCR_TWE) watch |= WATCH_WFE;
    }
    c->watch = (uint8_t)watch;
}

static unsigned found_at(const struct cca_core *c, unsigned el, uint32_t insn)
{
    if (el > 2) return 0;
    if (insn == INSN_WFE) return (c->watch & WATCH_WFE) && el < 2 ? FOUND_WFE : 0;
    if (is_sve(insn)) {
        if (c->sve_by_engine[el]) return 0;
        if (el == 0 && c->zen_el0) return FOUND_SVE;
    }
    return c->fp_to[el] ? FOUND_FP : 0;
}

static bool stop_for(struct cca_core *c, unsigned found)
{
    c->found = (uint8_t)found;
    c->block_insns = 0;
    engine_stop(c->e);
    return true;
}

bool cca_watch_block(struct cca_core *c, uint64_t pc, uint32_t bytes)
{
    if (c->watch & WATCH_STALE) recompute(c);
    if (!c->watch) return false;
    cca_refresh_mmu(c);
    struct cca_plain *known = &c->plain[(pc >> 2) % CCA_PLAIN_BLOCKS];
    /* A PC says which code it is of only where there is one regime to run in. */
    bool by_pc = !(c->watch & WATCH_ILLEGAL) && (c->cfg.el != 2 || c->host);
    if (by_pc && known->pc == pc && known->bytes == bytes && known->generation == c->plain_generation) return false;
    uint32_t pstate = engine_pstate(c->e), insn;
    unsigned el = (pstate >> 2) & 3;
    if (pstate & PSTATE_IL) return stop_for(c, FOUND_ILLEGAL);
    if (engine_stopping(c->e) && c->stop_at - pc < bytes && c->stop_at != pc) return false; /* it stops in time */
    bool plain = true;
    for (uint32_t at = 0; at < bytes; at += 4) {
        if (!cca_read_insn(c, pc + at, (int)el, &insn)) return false;
        if (!is_fp(insn) && !is_sve(insn) && insn != INSN_WFE) continue;
        plain = false;
        unsigned what = found_at(c, el, insn);
        if (!what) continue;
        if (at == 0) return stop_for(c, what);
        c->stop_at = pc + at;
        return stop_for(c, FOUND_STEP);
    }
    if (plain && by_pc) {
        *known = (struct cca_plain){pc, bytes, c->plain_generation};
        cca_plain_add(c, pc);
        cca_plain_add(c, pc + bytes - 4);
    }
    return false;
}

bool cca_watch_goes_on(const struct cca_core *c)
{
    return c->found == FOUND_STEP;
}

void cca_watch_stopped(struct cca_core *c)
{
    uint64_t pc = engine_pc(c->e);
    unsigned found = c->found, el = (engine_pstate(c->e) >> 2) & 3;
    c->found = 0;
    if (found == FOUND_STEP) {
        uint32_t insn;
        if (!cca_read_insn(c, c->stop_at, (int)el, &insn) || !engine_stop_before(c->e, c->stop_at, c->fetch_pa))
            cca_leave(c, CCA_EXIT_ENGINE);
        return;
    }
    if (found == FOUND_ILLEGAL) cca_take(c, cca_own_target(c, el), pc, EC(0x0E) | ESR_IL, false, 0);
    else if (found == FOUND_WFE) cca_take(c, 2, pc, EC(0x01) | ESR_IL | ISS_ALWAYS | 1, false, 0);
    else if (found == FOUND_SVE) cca_take(c, 2, pc, EC(0x19) | ESR_IL, false, 0);
    else cca_take(c, c->fp_to[el], pc, EC(0x07) | ESR_IL | ISS_ALWAYS, false, 0);
}
