/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fill callback: from a TLB miss of the engine to a translation, a fault or a device access. */
#include "core.h"
#include "traps.h"

#include <string.h>

static struct cca_known *slot(struct cca_core *c, uint64_t va)
{
    return &c->known[((va >> 12) ^ (va >> 24)) % CCA_KNOWN_PAGES];
}

static uint64_t tag_of(const struct cca_core *c, uint64_t va, int el)
{
    return (va & ~0xFFFull) | (uint64_t)c->mmu.pan << 2 | (unsigned)el;
}

const struct cca_known *cca_known_page(struct cca_core *c, uint64_t va, int el, enum cca_access access)
{
    const struct cca_known *k = slot(c, va);
    static const uint8_t need[] = {[CCA_READ] = CCA_PROT_R, [CCA_WRITE] = CCA_PROT_W, [CCA_FETCH] = CCA_PROT_X};
    bool hit = k->tag == tag_of(c, va, el) && k->generation == c->known_generation && (k->prot & need[access]);
    return hit ? k : NULL;
}

void cca_forget_page(struct cca_core *c, uint64_t va)
{
    slot(c, va)->generation = c->known_generation - 1;
}

void cca_forget_pages(struct cca_core *c)
{
    if (++c->known_generation == 0) memset(c->known, 0, sizeof c->known), c->known_generation = 1;
}

void cca_refresh_mmu(struct cca_core *c)
{
    struct cca_mmu *u = &c->mmu;
    if (!c->mmu_dirty) return;
    c->mmu_dirty = false;
    cca_forget_code(c);
    cca_forget_pages(c);
    u->sctlr_el1 = engine_sysreg(c->e, CCA_SYSREG(3, 0, 1, 0, 0));
    u->tcr_el1 = engine_sysreg(c->e, CCA_SYSREG(3, 0, 2, 0, 2));
    u->ttbr0_el1 = engine_sysreg(c->e, CCA_SYSREG(3, 0, 2, 0, 0));
    u->ttbr1_el1 = engine_sysreg(c->e, CCA_SYSREG(3, 0, 2, 0, 1));
    u->mair_el1 = engine_sysreg(c->e, CCA_SYSREG(3, 0, 10, 2, 0));
    u->sctlr_el2 = engine_sysreg(c->e, CCA_SYSREG(3, 4, 1, 0, 0));
    u->tcr_el2 = engine_sysreg(c->e, CCA_SYSREG(3, 4, 2, 0, 2));
    u->ttbr0_el2 = engine_sysreg(c->e, CCA_SYSREG(3, 4, 2, 0, 0));
    u->ttbr1_el2 = engine_sysreg(c->e, CCA_SYSREG(3, 4, 2, 0, 1));
    u->mair_el2 = engine_sysreg(c->e, CCA_SYSREG(3, 4, 10, 2, 0));
    if (c->cfg.el == 2) { /* EL2 is emulated too: its registers say what EL1&0 is under */
        u->hcr_el2 = engine_sysreg(c->e, CCA_SYSREG(3, 4, 1, 1, 0)) | c->hcr_beyond;
        u->vttbr = engine_sysreg(c->e, CCA_SYSREG(3, 4, 2, 1, 0));
        u->vtcr = engine_sysreg(c->e, CCA_SYSREG(3, 4, 2, 1, 2));
        u->s2_enabled = (u->hcr_el2 & (HCR_VM | HCR_DC)) && (u->hcr_el2 & HCR_HOST) != HCR_HOST;
    } else {
        u->vttbr = c->cfg.vttbr;
        u->vtcr = c->cfg.vtcr;
        u->hcr_el2 = c->cfg.hcr;
        u->s2_enabled = c->cfg.stage2 != 0;
    }
    u->pas = (uint8_t)c->cfg.pas;
    u->realm = c->cfg.pas == CCA_PAS_REALM;
    u->pa_bits = (uint8_t)c->cfg.pa_bits;
    u->hafdbs = (uint8_t)c->cfg.hafdbs;
}

/* LDTR/STTR family: the callback does not say which rights an access uses, the instruction does. */
static bool is_unprivileged(struct cca_core *c, int el)
{
    uint32_t insn;
    if (!cca_read_insn(c, engine_pc(c->e), el, &insn)) return false;
    if ((insn & 0x3F200C00u) != 0x38000800u) return false;
    return !((engine_pstate(c->e) >> 23) & 1); /* PSTATE.UAO */
}

/*
 * An entry with both W and X makes each store to its page slow in the engine, so no entry has both. Only a fetch
 * brings X: that is how the core knows which pages it may have code of. A page of code that is read too gets R+X,
 * so that it does not go back and forth.
 */
static uint8_t entry_prot(uint8_t prot, enum cca_access access, bool code)
{
    if (access == CCA_FETCH || (access == CCA_READ && code && (prot & CCA_PROT_X)))
        return prot & (CCA_PROT_R | CCA_PROT_X);
    return prot & (CCA_PROT_R | CCA_PROT_W);
}

bool cca_on_fill(cca_core *c, uint64_t va, enum cca_access access, uint64_t *pa, uint8_t *prot)
{
    uint32_t pstate = engine_pstate(c->e);
    int el = (int)((pstate >> 2) & 3);
    struct cca_xlate x;

    cca_refresh_mmu(c);
    c->mmu.pan = (pstate >> 22) & 1;
    bool unpriv = (el == 1 || (el == 2 && c->host)) && access != CCA_FETCH && is_unprivileged(c, el);
    const struct cca_known *known = unpriv || c->nwatchpoints || c->watchpoints_stale ? NULL
                                  : cca_known_page(c, va, el, access);
    if (known) {
        *pa = known->pa;
        if (access == CCA_FETCH) cca_filter_add(&c->code_pages, known->pa);
        *prot = entry_prot(known->prot, access, cca_filter_has(&c->code_pages, known->pa));
        return true;
    }
    if (!cca_translate(&c->m->mem, &c->mmu, va, access, el, unpriv, 0, &x, &c->fault)) {
        c->fault_pending = true;
        c->fault_mmio = c->fault_watch = c->fault_debug = false;
        c->fault_va = va;
        c->fault_access = access;
        return false;
    }
    uint64_t page = x.pa & ~0xFFFull;
    c->fault_watch = (c->nwatchpoints || c->watchpoints_stale) && access != CCA_FETCH && !c->watchpoint_pass &&
                     cca_watchpoint_page(c, va);
    c->fault_debug = c->m->debug.nwatches && access != CCA_FETCH && !c->debug.passing && !c->watchpoint_pass &&
                     cca_debug_watched(c, va, &x);
    if (c->fault_watch || c->fault_debug) {
        c->fault_pending = true;
        c->fault_mmio = cca_ram(&c->m->mem, page, 4096) == NULL;
        c->fault_xlate = x;
        c->fault_va = va;
        c->fault_access = access;
        return false;
    }
    if (cca_ram(&c->m->mem, page, 4096) == NULL) {
        c->fault_pending = true;
        c->fault_mmio = true;
        c->fault_xlate = x;
        c->fault_va = va;
        c->fault_access = access;
        return false;
    }
    *pa = page;
    if (access == CCA_FETCH) cca_filter_add(&c->code_pages, page);
    *prot = entry_prot(x.prot, access, cca_filter_has(&c->code_pages, page));
    cca_filter_add(&c->tlb_pages, page);
    if (x.page > 4096) cca_large_page(c, va, x.page);
    if (!unpriv) *slot(c, va) = (struct cca_known){tag_of(c, va, el), page, c->known_generation, x.prot};
    return true;
}

int cca_translate_va(cca_core *c, uint64_t va, uint32_t access, uint64_t *pa, uint32_t *pas, uint32_t *fsc,
                     uint32_t *stage)
{
    struct cca_xlate x;
    struct cca_fault f;
    uint32_t pstate = engine_pstate(c->e);
    cca_refresh_mmu(c);
    c->mmu.pan = 0;
    if (!cca_translate(&c->m->mem, &c->mmu, va, access > CCA_FETCH ? CCA_READ : (enum cca_access)access,
                       (int)((pstate >> 2) & 3), false, CCA_AT_NO_UPDATE, &x, &f)) {
        *fsc = f.fsc;
        *stage = f.stage;
        return 0;
    }
    *pa = x.pa;
    *pas = x.pas;
    return 1;
}
