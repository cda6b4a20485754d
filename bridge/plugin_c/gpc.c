/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Granule protection check: a walk of the GPT in memory (rmm-abi.md 13.6, 13.8; Arm ARM D9). */
#include "translate.h"

enum { GPI_NONE = 0x0, GPI_ANY = 0xF };
enum { GPT_BLOCK = 1, GPT_TABLE = 3, GPT_CONTIG = 1 };

static bool refuse(struct cca_walk *w, enum cca_fault_kind kind, uint64_t pa, uint8_t level)
{
    memset(w->fault, 0, sizeof *w->fault);
    w->fault->kind = (uint8_t)kind;
    w->fault->pa = pa;
    w->fault->gpc_level = level;
    return false;
}

static bool config_valid(const struct cca_gpc *g)
{
    bool pps = g->pps_bits == 32 || g->pps_bits == 36 || g->pps_bits == 40 || g->pps_bits == 42 ||
               g->pps_bits == 44 || g->pps_bits == 48 || g->pps_bits == 52;
    bool l0 = g->l0_bits == 30 || g->l0_bits == 34 || g->l0_bits == 36 || g->l0_bits == 39;
    bool pgs = g->pgs_bits == 12 || g->pgs_bits == 14 || g->pgs_bits == 16;

    return pps && l0 && pgs;
}

static bool compare(struct cca_walk *w, uint64_t pa, uint8_t pas, unsigned gpi, uint8_t level, uint8_t *out)
{
    *out = (uint8_t)gpi;
    if (gpi == GPI_ANY || (gpi == pas && gpi >= CCA_PAS_SECURE && gpi <= CCA_PAS_REALM))
        return true;
    if (gpi == GPI_NONE || (gpi >= CCA_PAS_SECURE && gpi <= CCA_PAS_REALM))
        return refuse(w, CCA_FAULT_GPF, pa, level);
    return refuse(w, CCA_FAULT_GPC_WALK, pa, level);
}

static bool level1_check(struct cca_walk *w, uint64_t entry, uint64_t pa, uint8_t pas, uint8_t *gpi)
{
    if ((entry & 0xF) != GPT_CONTIG)
        return compare(w, pa, pas, (entry >> (CCA_FIELD(pa, w->mem->gpc.pgs_bits, 4) * 4)) & 0xF, 1, gpi);
    if (entry >> 10 || !CCA_FIELD(entry, 8, 2))
        return refuse(w, CCA_FAULT_GPC_WALK, pa, 1);
    return compare(w, pa, pas, CCA_FIELD(entry, 4, 4), 1, gpi);
}

bool cca_gpc_walk(struct cca_walk *w, uint64_t pa, uint8_t pas, uint8_t *gpi)
{
    const struct cca_gpc *g = &w->mem->gpc;
    uint64_t index, entry, l0_size, l1_size, table;
    const uint8_t *host;

    *gpi = GPI_ANY;
    if (!g->enabled)
        return true;
    if (!config_valid(g))
        return refuse(w, CCA_FAULT_GPC_WALK, pa, 0);
    if (pa >> g->pps_bits) {
        *gpi = CCA_PAS_NS;
        return pas == CCA_PAS_NS ? true : refuse(w, CCA_FAULT_GPC_WALK, pa, 0);
    }

    if (w->gpt_tag == (pa >> w->gpt_shift) + 1)
        return level1_check(w, cca_load64(w->gpt_table + cca_gpt_offset(g, pa)), pa, pas, gpi);

    index = pa >> g->l0_bits;
    /* A level 0 table is aligned to its size, and to 4 KiB at least. */
    l0_size = g->pps_bits > g->l0_bits ? UINT64_C(8) << (g->pps_bits - g->l0_bits) : 8;
    l0_size = l0_size < 4096 ? 4096 : l0_size;
    host = cca_walk_ram(w, (g->base & ~(l0_size - 1)) + index * 8, 8);
    if (!host)
        return refuse(w, CCA_FAULT_GPC_WALK, pa, 0);
    entry = cca_load64(host);
    if ((entry & 0xF) == GPT_BLOCK && !(entry >> 8))
        return compare(w, pa, pas, CCA_FIELD(entry, 4, 4), 0, gpi);
    if ((entry & 0xF) != GPT_TABLE || CCA_FIELD(entry, 4, 8) || entry >> 52)
        return refuse(w, CCA_FAULT_GPC_WALK, pa, 0);

    l1_size = CCA_BIT(g->l0_bits - g->pgs_bits - 1u);
    table = entry & CCA_MASK(52) & ~(l1_size - 1) & ~CCA_MASK(12);
    w->gpt_table = cca_walk_ram(w, table, l1_size);
    w->gpt_shift = cca_min_u8(g->l0_bits, g->pps_bits);
    w->gpt_tag = w->gpt_table ? index + 1 : 0; /* a table that is backed in part is not remembered */
    host = cca_walk_ram(w, table + cca_gpt_offset(g, pa), 8);
    if (!host)
        return refuse(w, CCA_FAULT_GPC_WALK, pa, 1);
    return level1_check(w, cca_load64(host), pa, pas, gpi);
}

bool cca_gpc_check(const struct cca_mem *mem, uint64_t pa, uint8_t pas, uint8_t *gpi, struct cca_fault *fault)
{
    struct cca_walk w = {.mem = mem, .fault = fault};

    if (cca_gpc_walk(&w, pa, pas, gpi))
        return true;
    return cca_fail_gpc(&w, 1, 0, false);
}
