/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stage 2 of EL1&0 (Arm ARM D8.2, D8.4, D8.5); Realm state as rmm-abi.md 11.1 and 13.4. */
#include "translate.h"

enum {
    DESC_VALID = 0,
    DESC_TABLE = 1,
    DESC_MEMATTR = 2, /* 4 bits */
    DESC_S2AP_R = 6,
    DESC_S2AP_W = 7,
    DESC_AF = 10,
    DESC_DBM = 51,
    DESC_XN = 53, /* 2 bits */
    DESC_NS = 55,
};
enum { VTCR_SL0 = 6, VTCR_TG0 = 14, VTCR_PS = 16, VTCR_HA = 21, VTCR_HD = 22, VTCR_DS = 32, VTCR_SL2 = 33 };
enum { SCTLR_EE = 25 };

/* The start level that SL2:SL0 ask for, or false where the encoding is reserved (AArch64.S2InvalidSL). */
static bool start_level(const struct cca_mmu *mmu, const struct cca_format *f, int8_t *level)
{
    unsigned sl0 = (unsigned)CCA_FIELD(mmu->vtcr, VTCR_SL0, 2);
    bool sl2 = f->ds && f->page_bits == 12 && CCA_FIELD(mmu->vtcr, VTCR_SL2, 1);

    if (f->page_bits == 12) {
        static const int8_t levels[4] = {2, 1, 0, 3};

        *level = sl2 ? -1 : levels[sl0];
        if (sl2)
            return sl0 == 0 && mmu->pa_bits >= 52;
        return sl0 != 2 || mmu->pa_bits >= 44;
    }
    *level = (int8_t)(3 - (int)sl0);
    if (f->page_bits == 14)
        return sl0 == 3 ? f->ds : sl0 != 2 || mmu->pa_bits >= 42;
    return sl0 != 3 && (sl0 != 2 || mmu->pa_bits >= 44);
}

static bool format_init(struct cca_format *f, const struct cca_mmu *mmu)
{
    static const uint8_t page_bits[4] = {12, 16, 14, 12};
    unsigned t0sz = (unsigned)CCA_FIELD(mmu->vtcr, 0, 6);
    bool ds = mmu->pa_bits >= 52 && CCA_FIELD(mmu->vtcr, VTCR_DS, 1);
    int start_bits;

    cca_format_set(f, mmu, page_bits[CCA_FIELD(mmu->vtcr, VTCR_TG0, 2)], ds,
                   (unsigned)CCA_FIELD(mmu->vtcr, VTCR_PS, 3));
    f->ha = mmu->hafdbs >= 1 && CCA_FIELD(mmu->vtcr, VTCR_HA, 1);
    f->hd = mmu->hafdbs >= 2 && f->ha && CCA_FIELD(mmu->vtcr, VTCR_HD, 1);
    f->big_endian = CCA_FIELD(mmu->sctlr_el2, SCTLR_EE, 1);
    if (t0sz < (f->ds || f->high_in_15_12 ? 12u : 16u) || t0sz > (f->page_bits == 16 ? 47u : 48u))
        return false;
    f->ia_bits = (uint8_t)(64 - t0sz);
    if (!start_level(mmu, f, &f->start))
        return false;

    /* Up to 16 tables may be concatenated at the start level (AArch64.S2InconsistentSL). */
    start_bits = (int)f->ia_bits - (int)cca_level_shift(f, f->start);
    if (start_bits < 1 || start_bits > f->stride + 4)
        return false;
    f->base = cca_format_base(f, mmu->vttbr);
    return true;
}

static uint8_t permissions(const struct cca_mmu *mmu, uint64_t desc, bool el0, uint8_t pas)
{
    /* FEAT_XNX: 00 all, 01 EL0 only, 10 none, 11 EL1 only. */
    unsigned xn = (unsigned)CCA_FIELD(desc, DESC_XN, 2);
    bool execute = xn == 0 || xn == (el0 ? 1u : 3u);

    /* A Realm never executes what lies outside its own PAS. */
    if (mmu->realm && pas == CCA_PAS_NS)
        execute = false;
    return (uint8_t)((CCA_FIELD(desc, DESC_S2AP_R, 1) ? CCA_PROT_R : 0) |
                     (CCA_FIELD(desc, DESC_S2AP_W, 1) ? CCA_PROT_W : 0) | (execute ? CCA_PROT_X : 0));
}

/* The leaf's place in RAM and its level, or NULL with the fault filled in. */
static uint8_t *find_leaf(struct cca_walk *w, const struct cca_format *f, uint64_t ipa, int *level)
{
    uint64_t base = f->base;
    int l = f->start;
    unsigned shift = cca_level_shift(f, l);
    uint64_t index = ipa >> shift;

    for (;;) {
        uint8_t *entry = cca_table_entry(w, base + index * 8, w->mmu->pas, 2, l);
        uint64_t desc;

        if (!entry)
            return NULL;
        desc = cca_load_desc(f, entry);
        if (!CCA_FIELD(desc, DESC_VALID, 1)) {
            (void)cca_fail(w, CCA_FAULT_TRANSLATION, 2, l);
            return NULL;
        }
        if (l == 3 || !CCA_FIELD(desc, DESC_TABLE, 1)) {
            if (l == 3 && l > f->start && f->page_bits == 12 && cca_walk_ram(w, base, 4096)) {
                w->s2_tag = (ipa >> 21) + 1;
                w->s2_table = entry - index * 8;
            }
            *level = l;
            return entry;
        }
        base = cca_desc_address(f, desc);
        if (base >> f->oa_bits) {
            (void)cca_fail(w, CCA_FAULT_ADDRESS_SIZE, 2, l);
            return NULL;
        }
        l++;
        shift -= f->stride;
        index = CCA_FIELD(ipa, shift, f->stride);
    }
}

bool cca_s2_walk(struct cca_walk *w, uint64_t ipa, uint8_t pas, enum cca_access access, bool el0,
                 struct cca_s2_leaf *leaf)
{
    const struct cca_mmu *mmu = w->mmu;
    struct cca_format *f = &w->s2_format;
    uint8_t *entry;
    uint64_t desc, update, address;
    unsigned shift;
    int level = 3;
    bool writable_clean;

    w->ipa = ipa;
    if (!w->s2_ready) {
        w->s2_ready = true;
        w->s2_bad = !format_init(f, mmu);
    }
    if (w->s2_bad || ipa >> f->ia_bits)
        return cca_fail(w, CCA_FAULT_TRANSLATION, 2, 0);
    if (f->base >> f->oa_bits)
        return cca_fail(w, CCA_FAULT_ADDRESS_SIZE, 2, 0);

    /* A 4 KiB table lies in one GPT granule, which was checked when the table was first read. */
    if (w->s2_tag == (ipa >> 21) + 1)
        entry = w->s2_table + CCA_FIELD(ipa, 12, 9) * 8;
    else
        entry = find_leaf(w, f, ipa, &level);
    if (!entry)
        return false;
    desc = cca_load_desc(f, entry);
    if (level == 3 ? (desc & 3) != 3 : !(desc & 1) || level < f->block_min)
        return cca_fail(w, CCA_FAULT_TRANSLATION, 2, level);

    shift = cca_level_shift(f, level);
    address = cca_desc_address(f, desc);
    if (address >> f->oa_bits)
        return cca_fail(w, CCA_FAULT_ADDRESS_SIZE, 2, level);
    if (!CCA_FIELD(desc, DESC_AF, 1) && !f->ha)
        return cca_fail(w, CCA_FAULT_ACCESS_FLAG, 2, level);

    update = desc | CCA_BIT(DESC_AF);
    writable_clean = f->hd && CCA_FIELD(desc, DESC_DBM, 1) && !CCA_FIELD(desc, DESC_S2AP_W, 1);
    if (writable_clean && access == CCA_WRITE)
        update |= CCA_BIT(DESC_S2AP_W);

    leaf->pa = (address & ~CCA_MASK(shift)) | (ipa & CCA_MASK(shift));
    leaf->size_bits = (uint8_t)shift;
    leaf->level = (int8_t)level;
    leaf->memattr = (uint8_t)CCA_FIELD(desc, DESC_MEMATTR, 4);
    leaf->pas = pas;
    if (mmu->realm)
        leaf->pas = CCA_FIELD(desc, DESC_NS, 1) ? CCA_PAS_NS : CCA_PAS_REALM;
    leaf->prot = permissions(mmu, update, el0, leaf->pas);
    if (!(leaf->prot & cca_need(access)))
        return cca_fail(w, CCA_FAULT_PERMISSION, 2, level);
    if (update != desc && !(w->flags & CCA_AT_NO_UPDATE))
        cca_store_desc(f, entry, update);
    return true;
}
