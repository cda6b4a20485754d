/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What must not outlive a change: TLB entries after a GPT or RTT change, translated code after a write.
 * Engines other than the one running are told at their next entry. Filters keep the common case free: a granule
 * that a core never translated needs no flush in it.
 */
#include "core.h"

#include <string.h>

static unsigned hash_page(uint64_t pa)
{
    return (unsigned)(((pa >> 12) * 0x9E3779B97F4A7C15ull) >> 48);
}

void cca_filter_add(struct cca_filter *f, uint64_t pa)
{
    unsigned h = hash_page(pa);
    f->words[h >> 6] |= 1ull << (h & 63);
}

bool cca_filter_has(const struct cca_filter *f, uint64_t pa)
{
    unsigned h = hash_page(pa);
    return (f->words[h >> 6] >> (h & 63)) & 1;
}

void cca_flush_now(struct cca_core *c)
{
    engine_flush_all(c->e);
    cca_forget_pages(c);
    memset(&c->tlb_pages, 0, sizeof c->tlb_pages);
    memset(c->large, 0, sizeof c->large);
    c->flush_pending = false;
    cca_forget_code(c);
}

/*
 * The engine's entries are of 4 KiB, and its TLBI by address takes one. Of a larger page all must go, so that the
 * places of larger pages are remembered, coarsely, by half of the address space.
 */
void cca_large_page(struct cca_core *c, uint64_t va, uint64_t size)
{
    struct cca_span *s = &c->large[(va >> 55) & 1];
    uint64_t mask = ~(size - 1);
    if (s->mask == 0) {
        s->base = va & mask;
        s->mask = mask;
        return;
    }
    mask &= s->mask;
    while ((va ^ s->base) & mask) mask <<= 1;
    s->base &= mask;
    s->mask = mask;
    if (mask == 0) s->mask = 1ull << 63;
}

void cca_flush_large(struct cca_core *c, uint64_t va)
{
    const struct cca_span *s = &c->large[(va >> 55) & 1];
    if (s->mask && !((va ^ s->base) & s->mask & 0x00FFFFFFFFFFF000ull)) cca_flush_now(c);
}

void cca_apply_pending(struct cca_core *c)
{
    if (c->drop_all_pending) {
        engine_drop_all_code(c->e);
        memset(&c->code_pages, 0, sizeof c->code_pages);
        c->drop_all_pending = false;
        c->ndrop = 0;
        c->flush_pending = true;
    }
    if (c->ndrop) {
        for (unsigned i = 0; i < c->ndrop; i++) engine_drop_code(c->e, c->drop_pages[i], c->drop_lines[i]);
        c->ndrop = 0;
        cca_forget_code(c);
    }
    if (c->flush_pending) cca_flush_now(c);
}

void cca_flush_siblings(struct cca_core *c)
{
    struct cca_machine *m = c->m;
    for (size_t i = 0; i < m->ncores; i++) {
        struct cca_core *o = m->cores[i];
        if (o != c && o->cfg.pas == c->cfg.pas) o->flush_pending = true;
    }
}

void cca_drop_code_everywhere(struct cca_machine *m, uint64_t pa, uint64_t lines)
{
    uint64_t page = pa & ~0xFFFull;
    for (size_t i = 0; i < m->ncores; i++) {
        struct cca_core *c = m->cores[i];
        if (c->drop_all_pending || !cca_filter_has(&c->code_pages, page)) continue;
        unsigned k = 0;
        while (k < c->ndrop && c->drop_pages[k] != page) k++;
        if (k == CCA_PENDING_PAGES) {
            c->drop_all_pending = true;
            continue;
        }
        if (k == c->ndrop) {
            c->drop_pages[c->ndrop++] = page;
            c->drop_lines[k] = 0;
        }
        c->drop_lines[k] |= lines;
    }
}

void cca_drop_all_code_everywhere(struct cca_machine *m)
{
    for (size_t i = 0; i < m->ncores; i++) m->cores[i]->drop_all_pending = true;
}

void cca_granule_changed(cca_machine *m, uint64_t pa)
{
    for (size_t i = 0; i < m->ncores; i++)
        if (cca_filter_has(&m->cores[i]->tlb_pages, pa & ~0xFFFull)) m->cores[i]->flush_pending = true;
}

void cca_memory_written(cca_machine *m, uint64_t pa, uint64_t size)
{
    if (size == 0) return;
    uint64_t first = pa >> 12, last = (pa + size - 1) >> 12;
    if (last - first >= 4096) {
        cca_drop_all_code_everywhere(m);
        return;
    }
    for (uint64_t p = first; p <= last; p++) cca_drop_code_everywhere(m, p << 12, CCA_WHOLE_PAGE);
}

int cca_memory_zero(cca_machine *m, uint64_t pa, uint64_t size)
{
    uint8_t *p = cca_ram(&m->mem, pa, size);
    if (p == NULL) return -1;
    memset(p, 0, size);
    cca_memory_written(m, pa, size);
    return 0;
}
