/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stage 1 of EL1&0, of EL2 and of EL2&0 (Arm ARM D8.2 to D8.5, AArch64.S1Translate). */
#include "translate.h"

enum { SCTLR_M = 0, SCTLR_I = 12, SCTLR_WXN = 19, SCTLR_EE = 25 };
enum { HCR_PTW = 2, HCR_DC = 12, HCR_TGE = 27, HCR_E2H = 34, HCR_FWB = 46 };
enum {
    DESC_VALID = 0,
    DESC_TABLE = 1,
    DESC_ATTR = 2, /* 3 bits */
    DESC_NS = 5,
    DESC_AP1 = 6,
    DESC_AP2 = 7,
    DESC_SH = 8, /* 2 bits */
    DESC_AF = 10,
    DESC_NG = 11,
    DESC_DBM = 51,
    DESC_PXN = 53,
    DESC_UXN = 54, /* XN in the EL2 regime */
    DESC_PXN_TABLE = 59,
    DESC_UXN_TABLE = 60,
    DESC_AP_TABLE0 = 61,
    DESC_AP_TABLE1 = 62,
    DESC_NS_TABLE = 63,
};
enum { ATTR_DEVICE_NGNRNE = 0x00, ATTR_NORMAL_NC = 0x44, ATTR_NORMAL_WT = 0xAA, ATTR_NORMAL_WB = 0xFF };
enum { SH_NONE = 0, SH_OUTER = 2 };

/* What the half of the address space that va lies in is controlled by. */
struct regime {
    struct cca_format format;
    uint64_t ttbr, mair, sctlr;
    uint8_t txsz;
    uint8_t sh; /* TCR.SHx: what leaves have where the DS format leaves them no SH field */
    bool el2;    /* EL2 or EL2&0 */
    bool single; /* EL2: one privilege level, one half */
    bool high;   /* TTBR1 */
    bool epd, tbi, hpd;
};

/* EL1&0 and EL2&0. */
static void regime_two(struct regime *r, const struct cca_mmu *mmu, uint64_t va, bool el2)
{
    static const uint8_t tg0[4] = {12, 16, 14, 12}, tg1[4] = {12, 14, 12, 16};
    uint64_t tcr = el2 ? mmu->tcr_el2 : mmu->tcr_el1;
    bool ds = mmu->pa_bits >= 52 && CCA_FIELD(tcr, 59, 1);
    bool high = CCA_FIELD(va, 55, 1);
    unsigned half = high ? 16 : 0;
    unsigned tg = (unsigned)CCA_FIELD(tcr, 14 + half, 2);

    r->el2 = el2;
    r->single = false;
    r->high = high;
    r->sctlr = el2 ? mmu->sctlr_el2 : mmu->sctlr_el1;
    r->mair = el2 ? mmu->mair_el2 : mmu->mair_el1;
    if (el2)
        r->ttbr = high ? mmu->ttbr1_el2 : mmu->ttbr0_el2;
    else
        r->ttbr = high ? mmu->ttbr1_el1 : mmu->ttbr0_el1;
    r->txsz = (uint8_t)CCA_FIELD(tcr, half, 6);
    r->epd = CCA_FIELD(tcr, 7 + half, 1);
    r->sh = (uint8_t)CCA_FIELD(tcr, 12 + half, 2);
    r->tbi = CCA_FIELD(tcr, 37 + high, 1);
    r->hpd = CCA_FIELD(tcr, 41 + high, 1);
    r->format.ha = mmu->hafdbs >= 1 && CCA_FIELD(tcr, 39, 1);
    r->format.hd = mmu->hafdbs >= 2 && r->format.ha && CCA_FIELD(tcr, 40, 1);
    cca_format_set(&r->format, mmu, high ? tg1[tg] : tg0[tg], ds, (unsigned)CCA_FIELD(tcr, 32, 3));
}

static void regime_el2(struct regime *r, const struct cca_mmu *mmu)
{
    static const uint8_t tg0[4] = {12, 16, 14, 12};
    uint64_t tcr = mmu->tcr_el2;
    bool ds = mmu->pa_bits >= 52 && CCA_FIELD(tcr, 32, 1);

    r->el2 = r->single = true;
    r->high = false;
    r->sctlr = mmu->sctlr_el2;
    r->mair = mmu->mair_el2;
    r->ttbr = mmu->ttbr0_el2;
    r->txsz = (uint8_t)CCA_FIELD(tcr, 0, 6);
    r->epd = false;
    r->sh = (uint8_t)CCA_FIELD(tcr, 12, 2);
    r->tbi = CCA_FIELD(tcr, 20, 1);
    r->hpd = CCA_FIELD(tcr, 24, 1);
    r->format.ha = mmu->hafdbs >= 1 && CCA_FIELD(tcr, 21, 1);
    r->format.hd = mmu->hafdbs >= 2 && r->format.ha && CCA_FIELD(tcr, 22, 1);
    cca_format_set(&r->format, mmu, tg0[CCA_FIELD(tcr, 14, 2)], ds, (unsigned)CCA_FIELD(tcr, 16, 3));
}

/* Stage 1 off: a flat map (AArch64.S1DisabledOutput). */
static bool flat(struct cca_walk *w, const struct regime *r, uint64_t va, enum cca_access access,
                 struct cca_s1_leaf *leaf)
{
    const struct cca_mmu *mmu = w->mmu;
    uint64_t address = r->tbi ? va & CCA_MASK(56) : va;

    if (mmu->pa_bits < 64 && address >> mmu->pa_bits)
        return cca_fail(w, CCA_FAULT_ADDRESS_SIZE, 1, 0);
    leaf->ipa = address;
    leaf->size_bits = 64;
    leaf->prot = CCA_PROT_R | CCA_PROT_W | CCA_PROT_X;
    leaf->pas = mmu->pas;
    leaf->global = 1;
    leaf->level = -2;
    leaf->sh = SH_OUTER;
    if (!r->el2 && CCA_FIELD(mmu->hcr_el2, HCR_DC, 1)) {
        leaf->attr = ATTR_NORMAL_WB;
        leaf->sh = SH_NONE;
    } else if (access == CCA_FETCH) {
        leaf->attr = CCA_FIELD(r->sctlr, SCTLR_I, 1) ? ATTR_NORMAL_WT : ATTR_NORMAL_NC;
    } else {
        leaf->attr = ATTR_DEVICE_NGNRNE;
    }
    return true;
}

static bool s2_device(const struct cca_mmu *mmu, uint8_t memattr)
{
    return !(memattr & (CCA_FIELD(mmu->hcr_el2, HCR_FWB, 1) ? 0x4 : 0xC));
}

/* Where a stage-1 descriptor really is: its address goes through stage 2 and the granule protection check. */
static uint8_t *descriptor(struct cca_walk *w, uint64_t ipa, uint8_t pas, enum cca_access access, int level)
{
    struct cca_s2_leaf leaf;

    if (!w->s2)
        return cca_table_entry(w, ipa, pas, 1, level);

    w->s1ptw = true;
    if (!cca_s2_walk(w, ipa, pas, access, false, &leaf))
        return NULL;
    if ((w->mmu->realm && leaf.pas == CCA_PAS_NS) ||
        (CCA_FIELD(w->mmu->hcr_el2, HCR_PTW, 1) && s2_device(w->mmu, leaf.memattr))) {
        (void)cca_fail(w, CCA_FAULT_PERMISSION, 2, leaf.level);
        return NULL;
    }
    w->s1ptw = false;
    return cca_table_entry(w, leaf.pa, leaf.pas, 1, level);
}

/* Limits that the table descriptors passed on the way lay on the leaf. */
struct hierarchy {
    bool read_only, no_el0, uxn, pxn, ns;
};

static void hierarchy_add(struct hierarchy *h, const struct regime *r, uint64_t desc)
{
    h->ns |= CCA_FIELD(desc, DESC_NS_TABLE, 1);
    if (r->hpd)
        return;
    h->read_only |= CCA_FIELD(desc, DESC_AP_TABLE1, 1);
    h->no_el0 |= CCA_FIELD(desc, DESC_AP_TABLE0, 1);
    h->uxn |= CCA_FIELD(desc, DESC_UXN_TABLE, 1);
    h->pxn |= CCA_FIELD(desc, DESC_PXN_TABLE, 1);
}

static uint8_t permissions_el2(const struct regime *r, const struct hierarchy *h, uint64_t desc)
{
    bool writable = !CCA_FIELD(desc, DESC_AP2, 1) && !h->read_only;
    bool execute = !CCA_FIELD(desc, DESC_UXN, 1) && !h->uxn && !(writable && CCA_FIELD(r->sctlr, SCTLR_WXN, 1));

    return (uint8_t)(CCA_PROT_R | (writable ? CCA_PROT_W : 0) | (execute ? CCA_PROT_X : 0));
}

static uint8_t permissions_two(const struct regime *r, const struct hierarchy *h, uint64_t desc, bool el0, bool pan)
{
    bool writable = !CCA_FIELD(desc, DESC_AP2, 1) && !h->read_only;
    bool el0_access = CCA_FIELD(desc, DESC_AP1, 1) && !h->no_el0;
    bool wxn = writable && CCA_FIELD(r->sctlr, SCTLR_WXN, 1);
    bool data, execute;

    if (el0) {
        data = el0_access;
        execute = !CCA_FIELD(desc, DESC_UXN, 1) && !h->uxn && !(wxn && el0_access);
    } else {
        data = !(pan && el0_access);
        /* What EL0 can write, EL1 never executes. */
        execute = !CCA_FIELD(desc, DESC_PXN, 1) && !h->pxn && !(el0_access && writable) && !wxn;
    }
    return (uint8_t)((data ? CCA_PROT_R : 0) | (data && writable ? CCA_PROT_W : 0) | (execute ? CCA_PROT_X : 0));
}

/* Output PAS of a leaf: only Secure state and Realm EL2 have an NS bit at stage 1. */
static uint8_t output_pas(const struct cca_mmu *mmu, const struct regime *r, const struct hierarchy *h, uint64_t desc)
{
    bool ns = CCA_FIELD(desc, DESC_NS, 1);

    if (mmu->pas == CCA_PAS_SECURE)
        return ns || h->ns ? CCA_PAS_NS : CCA_PAS_SECURE;
    if (mmu->pas == CCA_PAS_REALM && r->el2)
        return ns ? CCA_PAS_NS : CCA_PAS_REALM;
    return mmu->pas;
}

static bool input_valid(struct regime *r, uint64_t va)
{
    struct cca_format *f = &r->format;
    unsigned top = r->tbi ? 56 : 64;
    uint64_t above;

    if (r->txsz < (f->ds || f->high_in_15_12 ? 12 : 16) || r->txsz > (f->page_bits == 16 ? 47 : 48))
        return false;
    f->ia_bits = (uint8_t)(64 - r->txsz);
    f->start = (int8_t)(3 - (f->ia_bits - 1 - f->page_bits) / f->stride);
    above = CCA_FIELD(va, f->ia_bits, top - f->ia_bits);
    return !r->epd && above == (r->high ? CCA_MASK(top - f->ia_bits) : 0);
}

bool cca_s1_walk(struct cca_walk *w, uint64_t va, enum cca_access access, int el, bool unpriv,
                 struct cca_s1_leaf *leaf)
{
    const struct cca_mmu *mmu = w->mmu;
    struct regime r;
    struct cca_format *f = &r.format;
    struct hierarchy h = {0};
    uint64_t base, index, desc, address, at, update, effective;
    unsigned shift;
    uint8_t *entry;
    uint8_t table_pas;
    int level;
    bool writable_clean;
    bool e2h = CCA_FIELD(mmu->hcr_el2, HCR_E2H, 1), host = e2h && CCA_FIELD(mmu->hcr_el2, HCR_TGE, 1);
    bool off = mmu->hcr_el2 & CCA_BIT(HCR_DC) || (!e2h && CCA_FIELD(mmu->hcr_el2, HCR_TGE, 1));
    bool el0 = el == 0 || (unpriv && access != CCA_FETCH && (el == 1 || host));

    if (el >= 2 && !e2h)
        regime_el2(&r, mmu);
    else
        regime_two(&r, mmu, va, el >= 2 || (el == 0 && host));
    if (!CCA_FIELD(r.sctlr, SCTLR_M, 1) || (!r.el2 && off))
        return flat(w, &r, va, access, leaf);
    if (!input_valid(&r, va))
        return cca_fail(w, CCA_FAULT_TRANSLATION, 1, 0);

    f->big_endian = CCA_FIELD(r.sctlr, SCTLR_EE, 1);
    base = cca_format_base(f, r.ttbr);
    if (base >> f->oa_bits)
        return cca_fail(w, CCA_FAULT_ADDRESS_SIZE, 1, 0);
    level = f->start;
    shift = cca_level_shift(f, level);
    index = CCA_FIELD(va, shift, f->ia_bits - shift);
    table_pas = mmu->pas;

    for (;;) {
        at = base + index * 8;
        entry = descriptor(w, at, table_pas, CCA_READ, level);
        if (!entry)
            return false;
        desc = cca_load_desc(f, entry);
        if (!CCA_FIELD(desc, DESC_VALID, 1))
            return cca_fail(w, CCA_FAULT_TRANSLATION, 1, level);
        address = cca_desc_address(f, desc);
        if (level == 3 || !CCA_FIELD(desc, DESC_TABLE, 1))
            break;
        if (address >> f->oa_bits)
            return cca_fail(w, CCA_FAULT_ADDRESS_SIZE, 1, level);
        hierarchy_add(&h, &r, desc);
        if (h.ns && mmu->pas == CCA_PAS_SECURE)
            table_pas = CCA_PAS_NS;
        base = address;
        level++;
        shift -= f->stride;
        index = CCA_FIELD(va, shift, f->stride);
    }
    if (level == 3 ? !CCA_FIELD(desc, DESC_TABLE, 1) : level < f->block_min)
        return cca_fail(w, CCA_FAULT_TRANSLATION, 1, level);
    if (address >> f->oa_bits)
        return cca_fail(w, CCA_FAULT_ADDRESS_SIZE, 1, level);
    if (!CCA_FIELD(desc, DESC_AF, 1) && !f->ha)
        return cca_fail(w, CCA_FAULT_ACCESS_FLAG, 1, level);

    /* Rules such as WXN see a writable-clean page (DBM with AP[2] set) as the writable page that it is. */
    writable_clean = f->hd && CCA_FIELD(desc, DESC_DBM, 1) && CCA_FIELD(desc, DESC_AP2, 1);
    effective = writable_clean ? desc & ~CCA_BIT(DESC_AP2) : desc;
    if (r.single)
        leaf->prot = permissions_el2(&r, &h, effective);
    else
        leaf->prot = permissions_two(&r, &h, effective, el0, mmu->pan);
    if (!(leaf->prot & cca_need(access)))
        return cca_fail(w, CCA_FAULT_PERMISSION, 1, level);
    update = desc | CCA_BIT(DESC_AF);
    if (writable_clean && access == CCA_WRITE)
        update &= ~CCA_BIT(DESC_AP2);
    else if (writable_clean)
        leaf->prot &= (uint8_t)~CCA_PROT_W; /* the first write comes back here and makes the page dirty */

    if (update != desc && !(w->flags & CCA_AT_NO_UPDATE)) {
        entry = descriptor(w, at, table_pas, CCA_WRITE, level);
        if (!entry)
            return false;
        cca_store_desc(f, entry, update);
    }

    leaf->ipa = (address & ~CCA_MASK(shift)) | (va & CCA_MASK(shift));
    leaf->size_bits = (uint8_t)shift;
    leaf->pas = output_pas(mmu, &r, &h, desc);
    leaf->attr = (uint8_t)(r.mair >> (CCA_FIELD(desc, DESC_ATTR, 3) * 8));
    leaf->sh = f->ds ? r.sh : (uint8_t)CCA_FIELD(desc, DESC_SH, 2);
    leaf->global = r.single || !CCA_FIELD(desc, DESC_NG, 1);
    leaf->level = (int8_t)level;
    return true;
}
