/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which blocks of guest code run, and how often: a hash table of a machine's, filled by a block hook that cores have
 * only while they are covered. A block that is left half way counts up to there.
 */
#include "core.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 1 << 12, MOST_SLOTS = 1 << 22 };

struct cca_coverage {
    struct cca_covered *slots;   /* size 0: free */
    uint64_t nslots, used, lost; /* nslots: a power of two */
};

static struct cca_covered *slot_of(struct cca_covered *slots, uint64_t n, uint64_t pc, uint32_t size, uint32_t id)
{
    uint64_t hash = ((pc >> 2) ^ ((uint64_t)id << 40) ^ ((uint64_t)size << 52)) * 0x9E3779B97F4A7C15ull;
    uint64_t at = (hash >> 20) & (n - 1);
    while (slots[at].size && (slots[at].pc != pc || slots[at].size != size || slots[at].id != id))
        at = (at + 1) & (n - 1);
    return slots + at;
}

static bool grow(struct cca_coverage *v)
{
    uint64_t n = v->nslots ? 2 * v->nslots : FIRST_SLOTS;
    struct cca_covered *slots = n > MOST_SLOTS ? NULL : calloc(n, sizeof *slots);
    if (slots == NULL) return false;
    for (uint64_t i = 0; i < v->nslots; i++) {
        const struct cca_covered *old = v->slots + i;
        if (old->size) *slot_of(slots, n, old->pc, old->size, old->id) = *old;
    }
    free(v->slots);
    v->slots = slots;
    v->nslots = n;
    return true;
}

static void add(struct cca_coverage *v, uint64_t pc, uint32_t size, uint32_t id, int64_t count)
{
    struct cca_covered *s = slot_of(v->slots, v->nslots, pc, size, id);
    if (s->size == 0) {
        if (4 * (v->used + 1) > 3 * v->nslots) {
            if (!grow(v)) {
                v->lost++;
                return;
            }
            s = slot_of(v->slots, v->nslots, pc, size, id);
        }
        *s = (struct cca_covered){.pc = pc, .size = size, .id = id};
        v->used++;
    }
    s->count += (uint64_t)count;
}

int cca_cover(cca_core *c, uint32_t id)
{
    cca_machine *m = c->m;
    if (c->covered) return -1;
    if (m->coverage == NULL) {
        struct cca_coverage *v = calloc(1, sizeof *v);
        if (v == NULL || !grow(v)) {
            free(v);
            return -1;
        }
        m->coverage = v;
    }
    if (!engine_cover(c->e)) return -1;
    c->covered = true;
    c->cover_id = id;
    return 0;
}

/* After cca_on_block, which may have stopped the engine before the block. */
void cca_on_covered(cca_core *c, uint64_t pc, uint32_t bytes)
{
    if (c->block_insns && c->block_pc == pc) add(c->m->coverage, pc, bytes, c->cover_id, 1);
}

void cca_cover_cut(struct cca_core *c, uint64_t ran)
{
    struct cca_coverage *v = c->m->coverage;
    if (ran >= c->block_insns) return;
    if (slot_of(v->slots, v->nslots, c->block_pc, 4 * c->block_insns, c->cover_id)->count == 0) return; /* was lost */
    add(v, c->block_pc, 4 * c->block_insns, c->cover_id, -1);
    if (ran) add(v, c->block_pc, 4 * (uint32_t)ran, c->cover_id, 1);
}

uint64_t cca_covered_blocks(cca_machine *m, struct cca_covered *out, uint64_t max)
{
    uint64_t n = 0;
    for (uint64_t i = 0; m->coverage && i < m->coverage->nslots; i++) {
        const struct cca_covered *s = m->coverage->slots + i;
        if (s->size == 0 || s->count == 0) continue;
        if (n < max) out[n] = *s;
        n++;
    }
    return n;
}

uint64_t cca_coverage_lost(cca_machine *m)
{
    return m->coverage ? m->coverage->lost : 0;
}

void cca_coverage_free(struct cca_machine *m)
{
    if (m->coverage) free(m->coverage->slots);
    free(m->coverage);
    m->coverage = NULL;
}
