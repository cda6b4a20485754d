/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking exceptions to EL1 and EL2, syndromes, and deciding which events leave the core. */
#include "traps.h"

#include <string.h>

#define PSTATE_NZCV 0xF0000000u
#define PSTATE_DIT (1u << 24)
#define PSTATE_PAN (1u << 22)
#define PSTATE_SS (1u << 21)
#define PSTATE_IL (1u << 20)
#define PSTATE_SSBS (1u << 12)
#define PSTATE_DAIF 0x3C0u
#define SCTLR_SPAN (1ull << 23)
#define SCTLR_DSSBS (1ull << 44)

enum {
    LOOP_LIMIT = 16,
    INSN_SEMIHOST = 0xD45E0000, /* HLT #0xF000 */
    FSC_EXTERNAL = 0x10,
    FSC_ALIGNMENT = 0x21,
};

#define HPFAR_EL2 CCA_SYSREG(3, 4, 6, 0, 4)

void cca_event_add(struct cca_core *c, uint32_t kind, uint32_t el, uint64_t pc, uint64_t a, uint64_t b)
{
    if (!c->trace || c->nevents == CCA_EVENTS) return;
    struct cca_event *ev = &c->events[c->nevents++];
    ev->kind = kind;
    ev->el = el;
    ev->pc = pc;
    ev->a = a;
    ev->b = b;
    ev->insns = c->m->insns;
}

static unsigned current_el(struct cca_core *c)
{
    return (engine_pstate(c->e) >> 2) & 3;
}

void cca_leave(struct cca_core *c, enum cca_reason reason)
{
    struct cca_exit *x = &c->exit;
    x->reason = reason;
    x->pc = engine_pc(c->e);
    x->el = current_el(c);
    if (reason == CCA_EXIT_SMC || reason == CCA_EXIT_HVC || reason == CCA_EXIT_SEMIHOST)
        engine_get_xs(c->e, 0, 18, x->x);
    engine_stop(c->e);
}

bool cca_read_insn(struct cca_core *c, uint64_t va, int el, uint32_t *insn)
{
    if (va & 3) return false;
    cca_refresh_mmu(c); /* which forgets the page where a translation register was written */
    if (c->fetch_page == NULL || c->fetch_va != (va & ~0xFFFull) || c->fetch_el != el) {
        struct cca_xlate x;
        struct cca_fault f;
        const struct cca_known *known = cca_known_page(c, va, el, CCA_FETCH);
        if (known) {
            x.pa = known->pa;
        } else {
            if (!cca_translate(&c->m->mem, &c->mmu, va & ~0xFFFull, CCA_FETCH, el, false, CCA_AT_NO_UPDATE, &x, &f))
                return false;
            if (x.page > 4096) cca_large_page(c, va, x.page); /* what is read here outlives the call */
        }
        uint8_t *host = cca_ram(&c->m->mem, x.pa, 4096);
        if (host == NULL) return false;
        c->fetch_page = host;
        c->fetch_va = va & ~0xFFFull;
        c->fetch_pa = x.pa;
        c->fetch_el = el;
    }
    memcpy(insn, c->fetch_page + (va & 0xFFF), 4);
    return true;
}

void cca_take(struct cca_core *c, unsigned target_el, uint64_t elr, uint64_t esr, bool has_far, uint64_t far)
{
    uint32_t pstate = engine_pstate(c->e);
    unsigned from = (pstate >> 2) & 3;
    c->mmio_second = false;
    uint64_t offset = from != target_el ? 0x400 : (pstate & 1) ? 0x200 : 0x000;
    uint64_t sctlr = engine_sysreg(c->e, target_el == 2 ? CCA_SYSREG(3, 4, 1, 0, 0) : CCA_SYSREG(3, 0, 1, 0, 0));
    uint32_t next = PSTATE_DAIF | (target_el << 2) | 1 | (pstate & (PSTATE_NZCV | PSTATE_PAN));

    bool pan_regime = target_el == 1 || (cca_hcr(c) & HCR_HOST) == HCR_HOST;
    if (pan_regime && !(sctlr & SCTLR_SPAN)) next |= PSTATE_PAN;
    if (sctlr & SCTLR_DSSBS) next |= PSTATE_SSBS;

    if (c->loop_insns == c->m->insns) {
        if (++c->loop_count > LOOP_LIMIT) {
            c->exit.esr = esr;
            c->exit.far = has_far ? far : 0;
            c->looped = true;
            cca_leave(c, CCA_EXIT_LOOP);
            return;
        }
    } else {
        c->loop_insns = c->m->insns;
        c->loop_count = 0;
    }
    if (c->watchpoint_pass || c->debug.passing) { /* it is for one access, which this exception is instead of */
        c->stopped = true;
        engine_stop(c->e);
    }
    if (pstate & PSTATE_IL) cca_watch_stale(c); /* SPSR.IL, which an ERET brings back */
    if (c->cnthctl_held) {
        c->cnthctl_held = false;
        engine_set_sysreg(c->e, CNTHCTL_EL2, c->cnthctl);
    }
    if (c->vector) cca_event_add(c, CCA_EVENT_INTERRUPT, target_el, elr, c->vector, 0);
    else cca_event_add(c, CCA_EVENT_EXCEPTION, target_el, elr, esr, has_far ? far : 0);
    engine_set_exception_regs(c->e, target_el, elr, pstate, esr);
    if (has_far) engine_set_far(c->e, target_el, far);
    engine_set_pstate(c->e, next);
    engine_set_pc(c->e, engine_vbar(c->e, target_el) + offset + c->vector);
}

void cca_take_undef(struct cca_core *c, uint64_t pc)
{
    cca_take(c, cca_own_target(c, current_el(c)), pc, ESR_IL, false, 0);
}

bool cca_decode_at(struct cca_core *c, uint64_t pc, unsigned el, struct cca_ldst *d, uint32_t *insn)
{
    uint64_t x[32];
    memset(d, 0, sizeof *d);
    *insn = 0;
    if (!cca_read_insn(c, pc, (int)el, insn)) return false;
    engine_get_xs(c->e, 0, 31, x);
    x[31] = 0;
    cca_decode_ldst(*insn, x, engine_sp(c->e), pc, d);
    return d->is_ldst || d->dc_zva;
}

/* WnR of an atomic says "write" only where the read alone would have been allowed (ISS for a Data Abort). */
static bool fault_is_write(struct cca_core *c, const struct cca_ldst *d, bool decoded, unsigned el)
{
    if (!decoded) return c->fault_access == CCA_WRITE;
    if (d->dc_zva) return true;
    if (!d->atomic) return d->write;
    if (c->fault.kind != CCA_FAULT_PERMISSION) return false;
    struct cca_xlate x;
    struct cca_fault f;
    return cca_translate(&c->m->mem, &c->mmu, c->fault_va, CCA_READ, (int)el, d->unpriv, CCA_AT_NO_UPDATE, &x, &f);
}

static uint64_t fault_address(struct cca_core *c, const struct cca_ldst *d, bool decoded, uint64_t pc)
{
    const uint64_t page = 0x00FFFFFFFFFFF000ull; /* the engine strips tags before it asks */
    if (c->fault_access == CCA_FETCH) return pc;
    if (decoded && d->addr_known && ((d->addr ^ c->fault_va) & page) == 0) return d->addr;
    return c->fault_va & ~0xFFFull;
}

static uint64_t abort_class(const struct cca_core *c, bool from_lower)
{
    if (c->fault_access == CCA_FETCH) return from_lower ? EC(0x20) : EC(0x21);
    return from_lower ? EC(0x24) : EC(0x25);
}

static uint64_t width_mask(unsigned sas)
{
    return sas == 3 ? UINT64_MAX : (1ull << (8u << sas)) - 1;
}

static uint64_t isv_fields(const struct cca_ldst *d)
{
    return (1ull << 24) | ((uint64_t)d->sas << 22) | ((uint64_t)d->sse << 21) | ((uint64_t)d->srt << 16) |
           ((uint64_t)d->sf << 15) | ((uint64_t)d->ar << 14);
}

/* HCR_EL2.TEA: external aborts of EL0 and EL1; HCR_EL2.GPF: their granule protection faults. */
static unsigned abort_target(struct cca_core *c, unsigned el, uint8_t kind)
{
    return el < 2 && kind == CCA_FAULT_EXTERNAL && (cca_hcr(c) & HCR_TEA) ? 2 : cca_own_target(c, el);
}

static unsigned gpf_target(struct cca_core *c, unsigned el)
{
    return el < 2 && (cca_hcr(c) & HCR_GPF) ? 2 : cca_own_target(c, el);
}

/* SCTLR_ELx.EE and E0E: the order of data in memory; the bus has the value. */
static uint64_t in_order(struct cca_core *c, uint64_t value, unsigned sas)
{
    unsigned el = current_el(c);
    bool el2 = el == 2 || (el == 0 && c->host);
    uint64_t sctlr = engine_sysreg(c->e, CCA_SYSREG(3, el2 ? 4 : 0, 1, 0, 0));
    if (!((sctlr >> (el == 0 ? 24 : 25)) & 1)) return value;
    return __builtin_bswap64(value) >> (64 - (8u << sas));
}

static void leave_mmio(struct cca_core *c, const struct cca_ldst *d, bool decoded, unsigned el, uint64_t pc,
                       uint32_t insn, uint64_t far)
{
    struct cca_exit *x = &c->exit;
    x->insn = insn;
    x->far = far;
    x->pa = (c->fault_xlate.pa & ~0xFFFull) | (far & 0xFFF);
    x->pas = c->fault_xlate.pas;
    if (c->fault_access == CCA_FETCH) {
        unsigned target = abort_target(c, el, CCA_FAULT_EXTERNAL);
        cca_take(c, target, pc, abort_class(c, el != target) | ESR_IL | FSC_EXTERNAL, true, far);
        return;
    }
    c->mmio = *d;
    c->mmio_second = c->mmio_second && d->pair && c->mmio_pc == pc;
    bool one_page = (d->addr & 0xFFF) + d->bytes <= 0x1000;
    if (!decoded || !d->addr_known || !one_page || !(d->isv || d->writeback || d->pair)) {
        x->size = d->bytes;
        x->is_write = d->write;
        cca_leave(c, CCA_EXIT_MMIO_FORM);
        return;
    }
    if (d->addr & ((1u << d->sas) - 1)) {
        uint64_t esr = abort_class(c, el == 0) | ESR_IL | ((uint64_t)d->write << 6) | FSC_ALIGNMENT;
        cca_take(c, cca_own_target(c, el), pc, esr, true, d->addr);
        return;
    }
    unsigned source = c->mmio_second ? d->srt2 : d->srt;
    x->size = 1u << d->sas;
    x->is_write = d->write;
    x->value = d->write ? in_order(c, engine_x(c->e, source) & width_mask(d->sas), d->sas) : 0;
    if (c->mmio_second) {
        x->pa += x->size;
        x->far += x->size;
    }
    if (!cca_gic_mmio(c)) cca_leave(c, CCA_EXIT_MMIO);
}

/* The engine has stopped in front of an instruction whose access the fill hook refused. */
void cca_handle_fault(struct cca_core *c)
{
    uint64_t pc = engine_pc(c->e);
    unsigned el = current_el(c);
    struct cca_ldst d;
    uint32_t insn = 0;
    bool decoded = false;
    const struct cca_fault *f = &c->fault;

    if (c->fault_debug && cca_debug_fault(c)) return;
    cca_give_back(c, pc, true);
    if (c->fault_access != CCA_FETCH) decoded = cca_decode_at(c, pc, el, &d, &insn);
    else memset(&d, 0, sizeof d);
    uint64_t far = fault_address(c, &d, decoded, pc);

    if (c->fault_watch) {
        uint64_t address;
        if (decoded && cca_watchpoint_hit(c, &d, el, &address)) {
            cca_watchpoint_take(c, &d, el, pc, address);
            return;
        }
        if (!c->fault_mmio) {
            cca_watchpoint_pass(c, el, pc);
            return;
        }
    }
    if (c->fault_mmio) {
        leave_mmio(c, &d, decoded, el, pc, insn, far);
        return;
    }
    if (f->kind == CCA_FAULT_GPC_WALK) {
        c->exit.pa = f->pa;
        c->exit.far = far;
        cca_leave(c, CCA_EXIT_GPC);
        return;
    }
    bool write = c->fault_access != CCA_FETCH && fault_is_write(c, &d, decoded, el);
    if (f->stage == 2 && f->kind != CCA_FAULT_GPF) {
        uint64_t esr = abort_class(c, true) | ESR_IL | ((uint64_t)f->s1ptw << 7) | f->fsc;
        if (c->fault_access != CCA_FETCH) {
            esr |= (uint64_t)write << 6;
            if (decoded && d.isv && !f->s1ptw) esr |= isv_fields(&d);
        }
        if (!c->cfg.stage2) { /* a guest of the host: EL2 is in this core */
            engine_set_sysreg(c->e, HPFAR_EL2, (f->ipa >> 12) << 4);
            cca_take(c, 2, pc, esr, true, far);
            return;
        }
        c->exit.esr = esr;
        c->exit.far = far;
        c->exit.ipa = f->ipa;
        c->exit.hpfar = (f->ipa >> 12) << 4;
        c->exit.value = decoded && d.isv && d.write ? engine_x(c->e, d.srt) & width_mask(d.sas) : 0;
        c->exit.insn = insn;
        cca_leave(c, CCA_EXIT_S2_FAULT);
        return;
    }
    unsigned target = f->kind == CCA_FAULT_GPF ? gpf_target(c, el) : abort_target(c, el, f->kind);
    uint64_t esr = abort_class(c, el != target) | ESR_IL | f->fsc;
    if (c->fault_access != CCA_FETCH) esr |= (uint64_t)write << 6;
    if (f->kind == CCA_FAULT_GPF) {
        cca_event_add(c, CCA_EVENT_GPF, el, pc, f->pa, far);
        if (c->m->debug.gpf) {
            c->m->debug.pending = CCA_DEBUG_GPF;
            c->exit.pa = f->pa;
            c->exit.far = far;
        }
        if (target == 2 && el < 2) {
            esr |= (uint64_t)f->s1ptw << 7;
            engine_set_sysreg(c->e, HPFAR_EL2, (f->ipa >> 12) << 4);
        }
    }
    cca_take(c, target, pc, esr, true, far);
}

/* What a load leaves in its register. */
static uint64_t loaded(struct cca_core *c, const struct cca_ldst *d, uint64_t value)
{
    uint64_t v = in_order(c, value & width_mask(d->sas), d->sas);
    if (d->sse && d->sas < 3) {
        unsigned bits = 8u << d->sas;
        v = (uint64_t)((int64_t)(v << (64 - bits)) >> (64 - bits));
    }
    return d->sf || (d->pair && (d->sse || d->sas == 3)) ? v : v & 0xFFFFFFFFull;
}

static void set_loaded(struct cca_core *c, unsigned n, uint64_t v)
{
    if (n != 31) engine_set_x(c->e, n, v);
}

void cca_finish_mmio(struct cca_core *c, uint64_t value)
{
    const struct cca_ldst *d = &c->mmio;
    uint64_t v = d->write || d->prefetch ? 0 : loaded(c, d, value);
    if (d->pair && !c->mmio_second) { /* no register changes before both halves are done */
        c->mmio_second = true;
        c->mmio_pc = engine_pc(c->e);
        c->mmio_first = v;
        return;
    }
    if (d->writeback) {
        if (d->rn == 31) engine_set_sp(c->e, d->base);
        else engine_set_x(c->e, d->rn, d->base);
    }
    if (!d->write && !d->prefetch) {
        set_loaded(c, d->srt, d->pair ? c->mmio_first : v);
        if (d->pair) set_loaded(c, d->srt2, v);
    }
    c->mmio_second = false;
    engine_set_pc(c->e, engine_pc(c->e) + 4);
    uint32_t pstate = engine_pstate(c->e);
    if (pstate & PSTATE_SS) engine_set_pstate(c->e, pstate & ~PSTATE_SS); /* a step is done */
    c->m->insns++;
    c->own_insns++;
}

void cca_external_abort(cca_core *c)
{
    unsigned el = current_el(c);
    unsigned target = abort_target(c, el, CCA_FAULT_EXTERNAL);
    uint64_t esr = abort_class(c, el != target) | ESR_IL | FSC_EXTERNAL | ((uint64_t)c->mmio.write << 6);
    cca_take(c, target, engine_pc(c->e), esr, true, c->exit.far);
}

/* Registers whose accesses from a realm are the RMM's to answer (HCR_EL2/ICH_HCR_EL2 traps). */
static bool traps_to_el2(const struct cca_core *c, uint32_t encoding, bool read)
{
    if (!c->cfg.stage2 || read) return false;
    return encoding == CCA_SYSREG(3, 0, 12, 11, 5) || encoding == CCA_SYSREG(3, 0, 12, 11, 7) ||
           encoding == CCA_SYSREG(3, 0, 12, 11, 1);
}

static uint64_t sysreg_iss(uint32_t insn)
{
    uint64_t op0 = (insn >> 19) & 3, op1 = (insn >> 16) & 7, crn = (insn >> 12) & 15, crm = (insn >> 8) & 15;
    uint64_t op2 = (insn >> 5) & 7, rt = insn & 31, dir = (insn >> 21) & 1;
    return (op0 << 20) | (op2 << 17) | (op1 << 14) | (crn << 10) | (rt << 5) | (crm << 1) | dir;
}

/* HCR_EL2.TIDCP: the IMPLEMENTATION DEFINED encodings, op0 = 3 or 1 with CRn = 11 or 15. */
static bool is_tidcp(uint32_t insn)
{
    unsigned crn = (insn >> 12) & 15;
    return (insn & 0xFFC80000u) == 0xD5080000u && (crn == 11 || crn == 15);
}

static void undefined(struct cca_core *c, uint64_t pc, unsigned el)
{
    uint32_t insn = 0;
    if (pc & 3) {
        cca_take(c, cca_own_target(c, el), pc, EC(0x22) | ESR_IL, true, pc);
        return;
    }
    bool have = cca_read_insn(c, pc, (int)el, &insn);
    if (have && insn == INSN_SEMIHOST && c->cfg.semihosting) {
        cca_leave(c, CCA_EXIT_SEMIHOST);
        return;
    }
    uint32_t target;
    uint64_t address, syndrome = engine_syndrome(c->e, &target, &address);
    /* SVE that nobody let in, and a PMU that is not offered, are not there at all */
    if (target == 3 && (syndrome >> 26 == 0x19 || syndrome >> 26 == 0x18)) syndrome = 0;
    if (have && (insn & 0xFFC00000u) == 0xD5000000u && ((insn >> 19) & 3) != 0) {
        bool read = (insn >> 21) & 1;
        uint32_t encoding = (insn >> 5) & 0xFFFF;
        bool gic = cca_gic_traps(c, el, encoding, read);
        if (gic && !c->cfg.stage2) { /* the host's own EL1 */
            cca_take(c, 2, pc, EC(0x18) | ESR_IL | sysreg_iss(insn), false, 0);
            return;
        }
        if (el >= 1 && (gic || traps_to_el2(c, encoding, read))) {
            unsigned rt = insn & 31;
            c->exit.esr = EC(0x18) | ESR_IL | sysreg_iss(insn);
            c->exit.value = read ? 0 : engine_x(c->e, rt);
            c->exit.insn = insn;
            cca_leave(c, CCA_EXIT_SYSREG);
            return;
        }
        unsigned trap = syndrome >> 26 == 0 ? cca_pmu_trap(c, encoding, el, read) : 0;
        if (trap) { /* a counter that the engine does not have */
            syndrome = (uint32_t)(EC(0x18) | ESR_IL | sysreg_iss(insn));
            target = trap;
        }
        if ((encoding & ~7u) == CCA_SYSREG(3, 7, 14, 2, 0)) syndrome = 0; /* CNTPS is UNDEFINED outside Secure EL1 */
        if (syndrome >> 26 == 0) cca_event_add(c, CCA_EVENT_UNKNOWN_SYSREG, el, pc, encoding, read);
    }
    if (syndrome >> 26 != 0 && c->cfg.stage2 && target == 2) {
        c->exit.esr = syndrome;
        c->exit.insn = insn;
        cca_leave(c, CCA_EXIT_UNDEF_EL2);
        return;
    }
    if (el == 1 && !c->cfg.stage2 && have && is_tidcp(insn) && (cca_hcr(c) & HCR_TIDCP)) {
        syndrome = EC(0x18) | sysreg_iss(insn);
        target = 2;
    }
    /* Nothing else is undefined at EL2's cost: pointer authentication that HCR_EL2.API traps */
    if (syndrome >> 26 == 0 && target == 2 && el < 2 && !(cca_hcr(c) & HCR_TGE)) syndrome = EC(0x09);
    uint64_t esr = syndrome >> 26 != 0 ? syndrome | ESR_IL : ESR_IL;
    unsigned to = target == 2 && c->cfg.el == 2 ? 2 : cca_own_target(c, el); /* 2: the host traps its EL1 */
    cca_take(c, to, pc, esr, false, 0);
}

void cca_on_exception(cca_core *c, enum cca_exception kind)
{
    uint64_t pc = engine_pc(c->e);
    unsigned el = current_el(c);
    uint32_t insn = 0;

    cca_give_back(c, pc, true);
    switch (kind) {
    case CCA_EXC_SMC:
        cca_leave(c, CCA_EXIT_SMC);
        break;
    case CCA_EXC_SVC:
        cca_read_insn(c, pc - 4, (int)el, &insn);
        cca_take(c, cca_own_target(c, el), pc, EC(0x15) | ESR_IL | ((insn >> 5) & 0xFFFF), false, 0);
        break;
    case CCA_EXC_HVC:
        cca_read_insn(c, pc - 4, (int)el, &insn);
        if (el == 2) {
            cca_take(c, 2, pc, EC(0x16) | ESR_IL | ((insn >> 5) & 0xFFFF), false, 0);
        } else if (c->cfg.stage2) {
            c->exit.esr = EC(0x16) | ESR_IL | ((insn >> 5) & 0xFFFF);
            cca_leave(c, CCA_EXIT_HVC);
        } else if (c->cfg.el == 2) { /* an EL1 guest of the host at EL2 */
            cca_take(c, 2, pc, EC(0x16) | ESR_IL | ((insn >> 5) & 0xFFFF), false, 0);
        } else {
            cca_take_undef(c, pc - 4); /* no EL2 above this context */
        }
        break;
    case CCA_EXC_BRK:
        cca_read_insn(c, pc, (int)el, &insn);
        cca_take(c, cca_debug_target(c, el), pc, EC(0x3C) | ESR_IL | ((insn >> 5) & 0xFFFF), false, 0);
        break;
    case CCA_EXC_UNDEF:
        undefined(c, pc, el);
        break;
    case CCA_EXC_BREAKPOINT: {
        uint32_t target;
        uint64_t address, syndrome = engine_syndrome(c->e, &target, &address);
        cca_take(c, cca_debug_target(c, el), pc, syndrome, false, 0);
        break;
    }
    case CCA_EXC_ALIGNMENT: {
        struct cca_ldst d;
        uint32_t target;
        uint64_t address, syndrome = engine_syndrome(c->e, &target, &address);
        if (syndrome >> 26 == 0x34 || syndrome >> 26 == 0x35) { /* a watchpoint */
            cca_take(c, cca_debug_target(c, el), pc, syndrome, true, address);
            break;
        }
        bool decoded = cca_decode_at(c, pc, el, &d, &insn);
        uint64_t esr = (el == 0 ? EC(0x24) : EC(0x25)) | ESR_IL | FSC_ALIGNMENT;
        if (decoded && d.write && !d.atomic) esr |= 1u << 6;
        cca_take(c, cca_own_target(c, el), pc, esr, true, decoded && d.addr_known ? d.addr : 0);
        break;
    }
    case CCA_EXC_OTHER:
        c->exit.engine_error = -1;
        cca_leave(c, CCA_EXIT_ENGINE);
        break;
    }
}

void cca_inject(cca_core *c, uint32_t el, uint64_t esr, int has_far, uint64_t far)
{
    cca_take(c, el, engine_pc(c->e), esr, has_far != 0, far);
}
