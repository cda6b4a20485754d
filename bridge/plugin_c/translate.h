/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the translation units alone: the scratch of one translation, table formats, descriptor access.
 * "Arm ARM" is DDI 0487, chapter D8 (VMSAv8-64) and D9 (granule protection).
 */
#ifndef CCA_TRANSLATE_H
#define CCA_TRANSLATE_H

#include <string.h>

#include "cca_types.h"

#define CCA_BIT(n) (UINT64_C(1) << (n))
#define CCA_MASK(n) (CCA_BIT(n) - 1)
#define CCA_FIELD(v, lo, n) (((v) >> (lo)) & CCA_MASK(n))

/* FSC without its level (Arm ARM, ESR_ELx, ISS of a Data Abort). */
enum {
    CCA_FSC_ADDRESS_SIZE = 0x00,
    CCA_FSC_TRANSLATION = 0x04,
    CCA_FSC_ACCESS_FLAG = 0x08,
    CCA_FSC_PERMISSION = 0x0C,
    CCA_FSC_EXTERNAL_WALK = 0x14,
    CCA_FSC_GPF_WALK = 0x24,
    CCA_FSC_GPF = 0x28,
    CCA_FSC_ADDRESS_SIZE_L_1 = 0x29, /* level -1 */
    CCA_FSC_TRANSLATION_L_1 = 0x2B,
};

/* How the tables of one stage are laid out; made once per translation from TCR or VTCR. */
struct cca_format {
    uint64_t base;       /* of the start table, aligned to its size */
    uint8_t page_bits;   /* log2 of the translation granule: 12, 14, 16 */
    uint8_t stride;      /* bits resolved by a full table: page_bits - 3 */
    uint8_t ia_bits;     /* input address size */
    uint8_t oa_bits;     /* output address size */
    int8_t start;        /* start level, -1..3 */
    int8_t block_min;    /* lowest level that may hold a block */
    bool ds;             /* FEAT_LPA2 descriptors: bits 9:8 are OA[51:50], no SH field */
    bool high_in_15_12;  /* 64K with a 52-bit PA: bits 15:12 are OA[51:48] */
    bool big_endian;
    bool ha, hd;
};

struct cca_s1_leaf {
    uint64_t ipa;
    uint8_t size_bits;
    uint8_t prot;
    uint8_t pas;
    uint8_t attr;
    uint8_t sh;
    uint8_t global;
    int8_t level;
};

struct cca_s2_leaf {
    uint64_t pa;
    uint8_t size_bits;
    uint8_t prot;
    uint8_t pas;
    uint8_t memattr;
    int8_t level;
};

/*
 * Scratch of one translation. Memory cannot change under it but by its own descriptor updates, so what it
 * has looked up once (a region, a GPT level 1 table, a last-level stage-2 table) stays true until it ends.
 */
struct cca_walk {
    const struct cca_mem *mem;
    const struct cca_mmu *mmu;
    struct cca_fault *fault;
    const struct cca_region *hint;
    uint64_t ipa;      /* what stage 2 is translating */
    unsigned flags;    /* enum cca_at_flags */
    bool s2;           /* stage 2 is in force */
    bool s1ptw;        /* stage 2 is translating a stage-1 table's address */
    bool s2_ready;     /* s2_format is filled in */
    bool s2_bad;       /* VTCR is unusable: translation fault at level 0 */
    struct cca_format s2_format;
    uint64_t s2_tag;   /* ipa >> (page_bits + stride) + 1 of the last-level table below, 0: none */
    uint8_t *s2_table;
    uint64_t gpt_tag;  /* (pa >> gpt_shift) + 1 of what the level 1 table below describes, 0: none */
    const uint8_t *gpt_table;
    uint8_t gpt_shift;
    bool no_gpc;
};

static inline uint8_t cca_min_u8(uint8_t a, uint8_t b) { return a < b ? a : b; }

static inline uint64_t cca_load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline void cca_store64(uint8_t *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    memcpy(p, &v, sizeof v);
}

static inline uint64_t cca_load_desc(const struct cca_format *f, const uint8_t *p)
{
    uint64_t v = cca_load64(p);
    return f->big_endian ? __builtin_bswap64(v) : v;
}

static inline void cca_store_desc(const struct cca_format *f, uint8_t *p, uint64_t v)
{
    cca_store64(p, f->big_endian ? __builtin_bswap64(v) : v);
}

static inline unsigned cca_level_shift(const struct cca_format *f, int level)
{
    return f->page_bits + (unsigned)(3 - level) * f->stride;
}

const struct cca_region *cca_region_at(const struct cca_mem *mem, uint64_t pa, uint64_t len);

static inline uint8_t *cca_walk_ram(struct cca_walk *w, uint64_t pa, uint64_t len)
{
    const struct cca_region *r = w->hint;

    if (!r || pa - r->base >= r->size || len > r->size - (pa - r->base)) {
        r = cca_region_at(w->mem, pa, len);
        if (!r)
            return NULL;
        w->hint = r;
    }
    return r->host + (pa - r->base);
}

/* Address that a descriptor holds, before it is cut to the size of a block. */
static inline uint64_t cca_desc_address(const struct cca_format *f, uint64_t desc)
{
    uint64_t low = CCA_MASK(f->page_bits);

    if (f->ds)
        return (desc & CCA_MASK(50) & ~low) | CCA_FIELD(desc, 8, 2) << 50;
    if (f->high_in_15_12)
        return (desc & CCA_MASK(48) & ~low) | CCA_FIELD(desc, 12, 4) << 48;
    return desc & CCA_MASK(48) & ~low;
}

/* Physical address size of a PS, IPS or PARange code; reserved codes read as the largest (Arm ARM, TCR_EL1.IPS). */
uint8_t cca_ps_bits(unsigned ps);

/* Fills f->page_bits, stride, block_min, ds, high_in_15_12 and oa_bits. */
void cca_format_set(struct cca_format *f, const struct cca_mmu *mmu, uint8_t page_bits, bool ds, unsigned ps);

/* Start table of a TTBR or VTTBR, cut to the alignment that its size asks for; f is otherwise complete. */
uint64_t cca_format_base(const struct cca_format *f, uint64_t ttbr);

/* Fill w->fault and return false. */
bool cca_fail(struct cca_walk *w, enum cca_fault_kind kind, int stage, int level);
bool cca_fail_gpc(struct cca_walk *w, int stage, int level, bool on_walk);

/* Granule protection check; on refusal w->fault has kind, pa and gpc_level and the caller adds the rest. */
bool cca_gpc_walk(struct cca_walk *w, uint64_t pa, uint8_t pas, uint8_t *gpi);

/* Offset of the GPT level 1 entry that describes pa. */
static inline uint64_t cca_gpt_offset(const struct cca_gpc *g, uint64_t pa)
{
    return CCA_FIELD(pa, g->pgs_bits + 4u, g->l0_bits - g->pgs_bits - 4u) << 3;
}

/* The same, with the common case in line: a granule of the access's own PAS, in the level 1 table last used. */
static inline bool cca_gpc_pass(struct cca_walk *w, uint64_t pa, uint8_t pas)
{
    uint8_t gpi;

    if (w->no_gpc)
        return true;
    if (w->gpt_tag == (pa >> w->gpt_shift) + 1) {
        const struct cca_gpc *g = &w->mem->gpc;
        uint64_t entry = cca_load64(w->gpt_table + cca_gpt_offset(g, pa));

        if ((entry & 0xF) != 1 && ((entry >> (CCA_FIELD(pa, g->pgs_bits, 4) * 4)) & 0xF) == pas)
            return true;
    }
    return cca_gpc_walk(w, pa, pas, &gpi);
}

/* One descriptor's place in RAM, with the granule protection check made; NULL with w->fault filled. */
uint8_t *cca_table_refused(struct cca_walk *w, uint64_t pa, int stage, int level, bool gpc);

static inline uint8_t *cca_table_entry(struct cca_walk *w, uint64_t pa, uint8_t pas, int stage, int level)
{
    uint8_t *host;

    if (__builtin_expect(!cca_gpc_pass(w, pa, pas), 0))
        return cca_table_refused(w, pa, stage, level, true);
    host = cca_walk_ram(w, pa, 8);
    return __builtin_expect(host != NULL, 1) ? host : cca_table_refused(w, pa, stage, level, false);
}

bool cca_s1_walk(struct cca_walk *w, uint64_t va, enum cca_access access, int el, bool unpriv,
                 struct cca_s1_leaf *leaf);
bool cca_s2_walk(struct cca_walk *w, uint64_t ipa, uint8_t pas, enum cca_access access, bool el0,
                 struct cca_s2_leaf *leaf);

static inline uint8_t cca_need(enum cca_access access)
{
    return access == CCA_READ ? CCA_PROT_R : access == CCA_WRITE ? CCA_PROT_W : CCA_PROT_X;
}

#endif
