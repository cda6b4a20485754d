/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MRS, MSR and SYS as the machine wants them, ahead of the engine. Whatever is not answered here the engine does
 * itself, its access checks included: the hook comes before those, so privilege is looked at first.
 */
#include "traps.h"

#include <string.h>

#define NZCV_Z (1u << 30)

enum known { UNSEEN = 0, KNOWN = 1, UNKNOWN = 2 };

/* Whether the engine implements an encoding: a property of the pinned engine, not of a core. */
static uint8_t engine_knows[1 << 16];

static bool known_to_engine(struct cca_core *c, uint32_t encoding)
{
    if (engine_knows[encoding] == UNSEEN)
        engine_knows[encoding] = engine_has_sysreg(c->e, encoding) ? KNOWN : UNKNOWN;
    return engine_knows[encoding] == KNOWN;
}

static unsigned lowest_el(uint32_t encoding)
{
    switch ((encoding >> 11) & 7) {
    case 3: return 0;
    case 4:
    case 5: return 2;
    case 6:
    case 7: return 3;
    default: return 1;
    }
}

/* The value goes to Rt; the engine skips the instruction. One it does not know would be run again for ever. */
static bool answer(struct cca_core *c, uint32_t encoding, unsigned rt, bool read, uint64_t value)
{
    if (read) engine_set_x(c->e, rt, value);
    if (!known_to_engine(c, encoding)) engine_set_pc(c->e, engine_pc(c->e) + 4);
    return true;
}

static uint64_t next_random(struct cca_core *c)
{
    uint64_t z = (c->rng += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

static bool is_translation_register(uint32_t encoding)
{
    unsigned op1 = (encoding >> 11) & 7, crn = (encoding >> 7) & 15;
    return (op1 == 0 || op1 == 4 || op1 == 5) && (crn == 1 || crn == 2 || crn == 10);
}

/* AT S1E{0,1,2}{R,W} and AT S12E{0,1}{R,W}: PAR_EL1 in the 64-bit format. */
static bool address_translation(struct cca_core *c, uint32_t encoding, uint64_t va)
{
    unsigned op1 = (encoding >> 11) & 7, crm = (encoding >> 3) & 15, op2 = encoding & 7;
    enum cca_access access = (op2 & 1) ? CCA_WRITE : CCA_READ;
    unsigned flags = CCA_AT_NO_UPDATE | CCA_AT_S1_ONLY;
    int el;
    if (op1 == 0 && op2 <= 3) el = op2 >= 2 ? 0 : 1;
    else if (op1 == 4 && op2 <= 1) el = 2;
    else if (op1 == 4 && op2 >= 4) el = op2 >= 6 ? 0 : 1, flags = CCA_AT_NO_UPDATE;
    else return false;
    if (op1 == 0 && c->host && el == 1) el = 2; /* the EL2&0 regime */
    if (crm == 9 && (op1 != 0 || op2 > 1)) return false;

    struct cca_xlate x;
    struct cca_fault f;
    uint64_t par;
    cca_refresh_mmu(c);
    c->mmu.pan = crm == 9 ? (engine_pstate(c->e) >> 22) & 1 : 0;
    if (cca_translate(&c->m->mem, &c->mmu, va, access, el, false, flags, &x, &f)) {
        uint64_t pa = x.pa;
        par = (pa & 0x000FFFFFFFFFF000ull) | ((uint64_t)x.attr << 56) | (1ull << 11) | ((uint64_t)(x.sh & 3) << 7);
    } else {
        par = 1ull | ((uint64_t)f.fsc << 1) | ((uint64_t)(f.s1ptw != 0) << 8) |
              ((uint64_t)(f.stage == 2) << 9) | (1ull << 11);
    }
    engine_set_sysreg(c->e, CCA_SYSREG(3, 0, 7, 4, 0), par);
    return true;
}

/* Code is dropped between runs. Where blocks are chained, the next one's hook still comes before the stop. */
static void stop_after_block(struct cca_core *c)
{
    c->deadline = 0;
    engine_stop(c->e);
}

/* SYS: TLBI and IC must reach every core that shares the memory; AT is ours; the rest is the engine's. */
static bool sys_operation(struct cca_core *c, uint32_t encoding, unsigned el, unsigned rt, uint64_t va)
{
    unsigned op1 = (encoding >> 11) & 7, crn = (encoding >> 7) & 15, crm = (encoding >> 3) & 15;
    if (crn == 8) { /* TLBI; the engine does its own part natively */
        if (el < lowest_el(encoding)) return false;
        bool by_va = op1 == 0 && (encoding & 1);
        uint64_t address = (uint64_t)((int64_t)(va << 20) >> 8);
        if (by_va) cca_forget_page(c, address), cca_forget_code_of(c, address);
        else cca_forget_pages(c), cca_forget_code(c);
        if (c->e2h && el == 2 && (op1 == 4 || !c->host)) cca_flush_now(c); /* the engine's part is by E2H=0's regimes */
        if (crm == 3 || crm == 0) cca_flush_siblings(c);
        if (by_va || (op1 == 4 && (encoding & 3) == 1 && crm != 0 && crm != 4)) cca_flush_large(c, address);
        return false;
    }
    if (crn != 7) return false;
    if (crm == 5 && op1 == 3) { /* IC IVAU */
        struct cca_xlate x;
        struct cca_fault f;
        uint32_t sctlr = CCA_SYSREG(3, c->host ? 4 : 0, 1, 0, 0);
        if (el == 0 && !((engine_sysreg(c->e, sctlr) >> 26) & 1)) return false; /* UCI */
        cca_refresh_mmu(c);
        c->mmu.pan = 0;
        if (cca_translate(&c->m->mem, &c->mmu, va, CCA_READ, (int)el, false, CCA_AT_NO_UPDATE, &x, &f)) {
            cca_drop_code_everywhere(c->m, x.pa, 1ull << ((x.pa & 0xFFF) / CCA_CODE_LINE));
            if (c->ndrop || c->drop_all_pending) stop_after_block(c);
        }
        return false;
    }
    if ((crm == 5 || crm == 1) && op1 == 0) { /* IC IALLU, IC IALLUIS */
        if (el == 0) return false;
        cca_drop_all_code_everywhere(c->m);
        stop_after_block(c);
        return false;
    }
    if (crm == 8 || crm == 9) {
        if (el < lowest_el(encoding)) return false;
        if (!address_translation(c, encoding, va)) return false;
        return answer(c, encoding, rt, false, 0);
    }
    return false;
}

/*
 * Whether EL0 and EL1 may access a counter or timer (CNTKCTL_EL1, CNTHCTL_EL2). Where they may not, the engine raises
 * the trap; where it would let the access pass, to the host's clock, it is made to refuse.
 */
static bool timer_open(struct cca_core *c, uint32_t encoding, unsigned el)
{
    unsigned crm = (encoding >> 3) & 15, op2 = encoding & 7;
    bool counter = crm == 0, physical = counter ? op2 == 1 || op2 == 5 : crm == 2;
    uint64_t hcr = cca_hcr(c), cnthctl = engine_sysreg(c->e, CNTHCTL_EL2);
    bool host = (hcr & HCR_HOST) == HCR_HOST;
    if (((encoding >> 11) & 7) != 3) return true;
    if (el == 0) {
        uint64_t ctl = host ? cnthctl : engine_sysreg(c->e, CCA_SYSREG(3, 0, 14, 1, 0));
        unsigned bit = counter ? !physical : physical ? 9 : 8;
        if (counter && op2 == 0) return ctl & 3; /* CNTFRQ_EL0 */
        if (!((ctl >> bit) & 1)) return false;
    }
    if (host || !physical || c->cfg.el != 2) return true;
    unsigned bit = hcr & HCR_E2H ? (counter ? 10 : 11) : (counter ? 0 : 1);
    if ((cnthctl >> bit) & 1) return true;
    if (!c->cnthctl_held) {
        c->cnthctl_held = true;
        c->cnthctl = cnthctl;
        engine_set_sysreg(c->e, CNTHCTL_EL2, 0);
    }
    return false;
}

/* HCR_EL2.TID3 and, for REVIDR_EL1, TID1. */
static bool id_trapped(struct cca_core *c, uint32_t encoding)
{
    uint64_t hcr = cca_hcr(c);
    if (encoding == CCA_SYSREG(3, 0, 0, 0, 6)) return hcr & HCR_TID1;
    return (encoding & 127) >= 8 && (hcr & HCR_TID3);
}

/* What a guest of the host sees: MIDR_EL1 is VPIDR_EL2 and MPIDR_EL1 is VMPIDR_EL2. */
static uint64_t virtual_id(struct cca_core *c, uint32_t encoding)
{
    if (encoding == CCA_SYSREG(3, 0, 0, 0, 0)) return engine_sysreg(c->e, CCA_SYSREG(3, 4, 0, 0, 0));
    if (encoding == CCA_SYSREG(3, 0, 0, 0, 5)) return engine_sysreg(c->e, CCA_SYSREG(3, 4, 0, 0, 5));
    return c->id[encoding & 127];
}

/* What follows from a write of one of EL1's or EL2's registers; false where it leaves the core instead. */
static bool before_write(struct cca_core *c, uint32_t encoding, uint64_t value)
{
    unsigned op1 = (encoding >> 11) & 7;
    if (is_translation_register(encoding)) {
        c->mmu_dirty = true;
        if (encoding == CPACR_EL1 || encoding == CPTR_EL2) cca_watch_stale(c);
    } else if ((op1 == 0 || op1 == 4) && (encoding & 0x7FF) == CCA_SYSREG(0, 0, 4, 0, 0)) {
        if (value & 0x10) { /* SPSR.M[4]: ERET would run AArch32, which this machine has not */
            c->exit.esr = value;
            cca_leave(c, CCA_EXIT_AARCH32);
            return false;
        }
        if ((c->watch & WATCH_ILLEGAL) || cca_spsr_illegal(c, op1 == 4 ? 2 : 1, value)) cca_watch_stale(c);
    }
    return true;
}

/* Carries out an access to `to` that was made by the name of `encoding`. */
static bool access(struct cca_core *c, uint32_t encoding, uint32_t to, unsigned rt, bool read, uint64_t value)
{
    uint64_t out = 0;
    if (((to >> 7) & 15) == 14 && cca_timer_sysreg(c, to, read, value, &out)) return answer(c, encoding, rt, read, out);
    if (read) return answer(c, encoding, rt, true, cca_kept(c, to));
    if (before_write(c, to, value)) {
        engine_set_sysreg(c->e, to, cca_keep(c, to, value));
        /* written from outside, SCTLR and TCR do not flush as they do when the engine runs the MSR */
        uint32_t low = to & 0x7FF;
        if (low == CCA_SYSREG(0, 0, 1, 0, 0) || low == CCA_SYSREG(0, 0, 2, 0, 2)) cca_flush_now(c);
    }
    return answer(c, encoding, rt, false, 0);
}

/* DBGWVR<n>_EL1, DBGWCR<n>_EL1, MDSCR_EL1 */
static bool is_watchpoint_register(uint32_t encoding)
{
    return encoding == CCA_SYSREG(2, 0, 0, 2, 2) || (encoding & ~(15u << 3 | 1)) == CCA_SYSREG(2, 0, 0, 0, 6);
}

/*
 * The accesses that code makes most and that nothing here has a word in: SP_EL0, NZCV, DAIF, TPIDR_*, CTR_EL0,
 * DCZID_EL0, and cache maintenance by address other than IC.
 */
static bool left_to_engine(uint32_t encoding)
{
    switch (encoding) {
    case CCA_SYSREG(3, 0, 4, 1, 0):
    case CCA_SYSREG(3, 3, 4, 2, 0):
    case CCA_SYSREG(3, 3, 4, 2, 1):
    case CCA_SYSREG(3, 0, 13, 0, 4):
    case CCA_SYSREG(3, 3, 13, 0, 2):
    case CCA_SYSREG(3, 3, 13, 0, 3):
    case CCA_SYSREG(3, 3, 0, 0, 1):
    case CCA_SYSREG(3, 3, 0, 0, 7):
    case CCA_SYSREG(1, 3, 7, 4, 1):
    case CCA_SYSREG(1, 3, 7, 10, 1):
    case CCA_SYSREG(1, 3, 7, 11, 1):
    case CCA_SYSREG(1, 3, 7, 14, 1): return true;
    default: return false;
    }
}

bool cca_on_sysreg(cca_core *c, uint32_t encoding, bool read, unsigned rt, uint64_t value)
{
    if (left_to_engine(encoding)) return false;
    unsigned el = (engine_pstate(c->e) >> 2) & 3;
    unsigned op0 = encoding >> 14, crn = (encoding >> 7) & 15;

    if (op0 == 1) return sys_operation(c, encoding, el, rt, value);
    if (op0 == 2 && !read && el >= 1 && is_watchpoint_register(encoding)) cca_watchpoints_written(c);
    bool secure_timer = c->cfg.pas == CCA_PAS_SECURE && (encoding & ~7u) == CCA_SYSREG(3, 7, 14, 2, 0);
    if (op0 != 3 || el < (secure_timer ? 1 : lowest_el(encoding))) return false;
    if (c->e2h) {
        uint32_t to = cca_vhe_register(c, encoding, el);
        if (to != encoding) {
            if (el == 0 && !timer_open(c, encoding, el)) return false;
            return access(c, encoding, to, rt, read, value);
        }
    }

    if (crn == 0 && ((encoding >> 11) & 7) == 0) {
        if (!read || (el == 1 && id_trapped(c, encoding))) return false; /* the engine raises the trap */
        bool guest = el == 1 && c->cfg.el == 2;
        return answer(c, encoding, rt, true, guest ? virtual_id(c, encoding) : c->id[encoding & 127]);
    }
    uint64_t counted;
    if (cca_pmu_sysreg(c, encoding, el, read, value, &counted)) return answer(c, encoding, rt, read, counted);
    if (crn == 12 || encoding == CCA_SYSREG(3, 0, 4, 6, 0)) { /* ICC_*, ICH_*, ISR_EL1; ICC_PMR_EL1 */
        uint64_t out;
        if (cca_gic_sysreg(c, encoding, el, read, value, &out)) return answer(c, encoding, rt, read, out);
    }
    if (crn == 14) {
        uint64_t out = 0;
        if (el < 2 && !timer_open(c, encoding, el)) return false;
        if (encoding == CCA_SYSREG(3, 3, 14, 0, 0) && !read) return false;
        if (!cca_timer_sysreg(c, encoding, read, value, &out)) return false;
        return answer(c, encoding, rt, read, out);
    }
    if (read && (encoding == CCA_SYSREG(3, 3, 2, 4, 0) || encoding == CCA_SYSREG(3, 3, 2, 4, 1))) {
        /* Hidden in ID_AA64ISAR0_EL1, it finds no number: the engine cannot be made to refuse it. */
        bool present = (c->id[6 * 8] >> 60) & 15;
        answer(c, encoding, rt, true, present ? next_random(c) : 0);
        engine_set_nzcv(c->e, present ? 0 : NZCV_Z);
        return true;
    }
    if (encoding == HCR_EL2 || (encoding == CPTR_EL2 && c->e2h)) return access(c, encoding, encoding, rt, read, value);
    if (!read) before_write(c, encoding, value);
    return false;
}
