/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole translation: stage 1, stage 2, granule protection check, in the order of Arm ARM D8.2 and D9.2. */
#include "translate.h"

const struct cca_region *cca_region_at(const struct cca_mem *mem, uint64_t pa, uint64_t len)
{
    size_t lo = 0, hi = mem->nregions;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct cca_region *r = &mem->regions[mid];

        if (pa < r->base)
            hi = mid;
        else if (pa - r->base >= r->size)
            lo = mid + 1;
        else
            return len <= r->size - (pa - r->base) ? r : NULL;
    }
    return NULL;
}

uint8_t *cca_ram(const struct cca_mem *mem, uint64_t pa, uint64_t len)
{
    const struct cca_region *r = cca_region_at(mem, pa, len);

    return r ? r->host + (pa - r->base) : NULL;
}

bool cca_fail(struct cca_walk *w, enum cca_fault_kind kind, int stage, int level)
{
    static const uint8_t fsc[] = {
        [CCA_FAULT_TRANSLATION] = CCA_FSC_TRANSLATION,
        [CCA_FAULT_ACCESS_FLAG] = CCA_FSC_ACCESS_FLAG,
        [CCA_FAULT_PERMISSION] = CCA_FSC_PERMISSION,
        [CCA_FAULT_ADDRESS_SIZE] = CCA_FSC_ADDRESS_SIZE,
        [CCA_FAULT_EXTERNAL] = CCA_FSC_EXTERNAL_WALK,
    };
    struct cca_fault *f = w->fault;

    memset(f, 0, sizeof *f);
    f->kind = (uint8_t)kind;
    f->stage = (uint8_t)stage;
    f->level = (int8_t)level;
    f->fsc = (uint8_t)(fsc[kind] + level);
    if (level < 0 && kind == CCA_FAULT_TRANSLATION)
        f->fsc = CCA_FSC_TRANSLATION_L_1;
    else if (level < 0 && kind == CCA_FAULT_ADDRESS_SIZE)
        f->fsc = CCA_FSC_ADDRESS_SIZE_L_1;
    if (stage == 2) {
        f->s1ptw = w->s1ptw;
        f->ipa = w->ipa;
    }
    return false;
}

bool cca_fail_gpc(struct cca_walk *w, int stage, int level, bool on_walk)
{
    struct cca_fault *f = w->fault;

    f->stage = (uint8_t)stage;
    f->level = (int8_t)level;
    f->on_walk = on_walk;
    f->fsc = (uint8_t)(on_walk ? CCA_FSC_GPF_WALK + level : CCA_FSC_GPF);
    f->s1ptw = stage == 2 && w->s1ptw;
    f->ipa = w->ipa;
    return false;
}

uint8_t *cca_table_refused(struct cca_walk *w, uint64_t pa, int stage, int level, bool gpc)
{
    if (gpc) {
        (void)cca_fail_gpc(w, stage, level, true);
    } else {
        (void)cca_fail(w, CCA_FAULT_EXTERNAL, stage, level);
        w->fault->on_walk = 1;
        w->fault->pa = pa;
    }
    return NULL;
}

uint8_t cca_ps_bits(unsigned ps)
{
    static const uint8_t bits[8] = {32, 36, 40, 42, 44, 48, 52, 52};

    return bits[ps & 7];
}

void cca_format_set(struct cca_format *f, const struct cca_mmu *mmu, uint8_t page_bits, bool ds, unsigned ps)
{
    bool wide = mmu->pa_bits >= 52;

    f->page_bits = page_bits;
    f->stride = (uint8_t)(page_bits - 3);
    f->ds = ds && page_bits != 16;
    f->high_in_15_12 = page_bits == 16 && wide;
    f->oa_bits = cca_min_u8(cca_ps_bits(ps), mmu->pa_bits);
    if (!f->ds && !f->high_in_15_12)
        f->oa_bits = cca_min_u8(f->oa_bits, 48);
    if (page_bits == 12)
        f->block_min = f->ds ? 0 : 1;
    else
        f->block_min = f->ds || f->high_in_15_12 ? 1 : 2;
}

uint64_t cca_format_base(const struct cca_format *f, uint64_t ttbr)
{
    uint64_t base = ttbr & CCA_MASK(48) & ~UINT64_C(1);
    unsigned size_bits = f->ia_bits - cca_level_shift(f, f->start) + 3;

    /* Where addresses have 52 bits, BADDR[5:2] are its top four and the table is aligned to 64 bytes at least. */
    if (f->oa_bits == 52) {
        base = (base & ~CCA_MASK(6)) | CCA_FIELD(ttbr, 2, 4) << 48;
    }
    return base & ~CCA_MASK(size_bits);
}

static void walk_init(struct cca_walk *w, const struct cca_mem *mem, const struct cca_mmu *mmu, unsigned flags,
                      struct cca_fault *fault)
{
    w->mem = mem;
    w->mmu = mmu;
    w->fault = fault;
    w->hint = NULL;
    w->ipa = 0;
    w->flags = flags;
    w->s2 = false;
    w->s1ptw = false;
    w->s2_ready = false;
    w->s2_bad = false;
    w->s2_tag = 0;
    w->gpt_tag = 0;
    w->gpt_shift = 0;
    w->no_gpc = (flags & CCA_AT_NO_GPC) || !mem->gpc.enabled;
}

static bool output_check(struct cca_walk *w, uint64_t pa, uint8_t pas)
{
    return cca_gpc_pass(w, pa, pas) || cca_fail_gpc(w, 1, 0, false);
}

bool cca_translate(const struct cca_mem *mem, const struct cca_mmu *mmu, uint64_t va, enum cca_access access,
                   int el, bool unpriv, unsigned flags, struct cca_xlate *out, struct cca_fault *fault)
{
    struct cca_walk w;
    struct cca_s1_leaf s1;
    struct cca_s2_leaf s2;

    walk_init(&w, mem, mmu, flags, fault);
    w.s2 = el < 2 && mmu->s2_enabled;
    if (!cca_s1_walk(&w, va, access, el, unpriv, &s1))
        return false;

    if (w.s2 && !(flags & CCA_AT_S1_ONLY)) {
        bool el0 = el == 0 || (el == 1 && unpriv && access != CCA_FETCH);

        if (!cca_s2_walk(&w, s1.ipa, s1.pas, access, el0, &s2))
            return false;
    } else {
        s2 = (struct cca_s2_leaf){
            .pa = s1.ipa, .size_bits = 64, .prot = CCA_PROT_R | CCA_PROT_W | CCA_PROT_X, .pas = s1.pas, .level = -2};
    }
    if (!(flags & CCA_AT_S1_ONLY)) {
        w.ipa = s1.ipa;
        if (!output_check(&w, s2.pa, s2.pas))
            return false;
    }

    s2.size_bits = cca_min_u8(s2.size_bits, s1.size_bits);
    *out = (struct cca_xlate){
        .pa = s2.pa,
        .ipa = s1.ipa,
        .page = s2.size_bits == 64 ? 4096 : CCA_BIT(s2.size_bits),
        .prot = s1.prot & s2.prot,
        .pas = s2.pas,
        .attr = s1.attr,
        .s2_memattr = s2.memattr,
        .sh = s1.sh,
        .global = s1.global,
        .s1_level = s1.level,
        .s2_level = s2.level,
    };
    return true;
}

bool cca_stage2(const struct cca_mem *mem, const struct cca_mmu *mmu, uint64_t ipa, enum cca_access access,
                unsigned flags, struct cca_xlate *out, struct cca_fault *fault)
{
    struct cca_walk w;
    struct cca_s2_leaf s2 = {
        .pa = ipa, .size_bits = 12, .prot = CCA_PROT_R | CCA_PROT_W | CCA_PROT_X, .pas = mmu->pas, .level = -2};

    walk_init(&w, mem, mmu, flags, fault);
    w.s2 = mmu->s2_enabled;
    if (w.s2 && !cca_s2_walk(&w, ipa, mmu->pas, access, false, &s2))
        return false;
    w.ipa = ipa;
    if (!output_check(&w, s2.pa, s2.pas))
        return false;

    *out = (struct cca_xlate){
        .pa = s2.pa,
        .ipa = ipa,
        .page = CCA_BIT(s2.size_bits),
        .prot = s2.prot,
        .pas = s2.pas,
        .s2_memattr = s2.memattr,
        .global = 1,
        .s1_level = -2,
        .s2_level = s2.level,
    };
    return true;
}
