/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a machine and of a context at rest as bytes, and back. What is state is named once, below; everything
 * else is made anew: pointers, the translations, and what a debugger has asked for.
 *
 * The bytes may come from anybody's file. Whatever is an index, a count or a bool here is checked before it is taken.
 */
#include "core.h"

#include <stdio.h>

struct field {
    size_t at, size;
    bool flag; /* a bool: 0 or 1 */
};

#define PART(type, name) {offsetof(struct type, name), sizeof(((struct type *)0)->name), false}
#define FLAG(type, name) {offsetof(struct type, name), sizeof(bool), true}

static const struct field machine_fields[] = {
    PART(cca_machine, insns), PART(cca_machine, limit), PART(cca_machine, turn_end),
};

static const struct field gic_fields[] = {
    PART(gic, enable), PART(gic, e1nwf), PART(gic, words), PART(gic, priority), PART(gic, router),
    PART(gic, pe),     PART(gic, cpu),   PART(gic, sgis),
};

static const struct field core_fields[] = {
    PART(cca_core, own_insns),      FLAG(cca_core, trap_wfi),
    PART(cca_core, cntp),           PART(cca_core, cntv),          PART(cca_core, cnthp),
    PART(cca_core, cnthv),          PART(cca_core, cntps),         PART(cca_core, cntvoff),
    FLAG(cca_core, timer_seen[0]),  FLAG(cca_core, timer_seen[1]), PART(cca_core, pmu.mark),
    PART(cca_core, pmu.count),      PART(cca_core, pmu.type),      PART(cca_core, pmu.pmcr),
    PART(cca_core, pmu.enabled),    PART(cca_core, pmu.inten),     PART(cca_core, pmu.ovs),
    PART(cca_core, pmu.userenr),    PART(cca_core, pmu.selected),  PART(cca_core, pmu.mdcr),
    PART(cca_core, pmu.el),         FLAG(cca_core, pmu.by_el),     FLAG(cca_core, pmu.seen),
    PART(cca_core, watch),          PART(cca_core, fp_to),         FLAG(cca_core, sve_by_engine[0]),
    FLAG(cca_core, sve_by_engine[1]), FLAG(cca_core, sve_by_engine[2]), FLAG(cca_core, sve_by_engine[3]),
    FLAG(cca_core, zen_el0),        PART(cca_core, cnthctl),
    FLAG(cca_core, cnthctl_held),   FLAG(cca_core, e2h),           FLAG(cca_core, host),
    PART(cca_core, cptr),           PART(cca_core, hcr_beyond),    FLAG(cca_core, virt_touched),
    PART(cca_core, virt),           FLAG(cca_core, solo),
    FLAG(cca_core, fiq_to_el1),     FLAG(cca_core, serror),        FLAG(cca_core, vserror),
    PART(cca_core, serror_iss),     PART(cca_core, id),            PART(cca_core, rng),
    FLAG(cca_core, mmio_second),    PART(cca_core, mmio_pc),       PART(cca_core, mmio_first),
};

/* What no guest sees, but on which depends when exactly a block is looked at. */
static const struct field unseen_fields[] = {
    PART(cca_core, due),            PART(cca_core, deadline),      PART(cca_core, slice_end),
    PART(cca_core, exit),           PART(cca_core, loop_insns),    PART(cca_core, loop_count),
    FLAG(cca_core, looped),         PART(cca_core, plain),         PART(cca_core, goes_on),
    PART(cca_core, plain_generation), PART(cca_core, plain_pages), FLAG(cca_core, irq_stale),
    FLAG(cca_core, polling),        PART(cca_core, polled_pstate), PART(cca_core, vector),
    PART(cca_core, tlb_pages),      PART(cca_core, code_pages),    PART(cca_core, large),
    FLAG(cca_core, flush_pending),  FLAG(cca_core, drop_all_pending), PART(cca_core, drop_pages),
    PART(cca_core, drop_lines),     PART(cca_core, ndrop),         PART(cca_core, debug.resume),
    PART(cca_core, debug.end),      FLAG(cca_core, debug.held),    PART(cca_core, fetch_va),
    PART(cca_core, fetch_pa),
    PART(cca_core, fetch_el),
};

#define COUNT(fields) (sizeof(fields) / sizeof *(fields))

/* Beyond the fields: of the machine each PE's next edge, of a context whether fetch_page is known. */
enum { MACHINE_MORE = 8 * GIC_MAX_PES, CORE_MORE = 8 };

static uint64_t size_of(const struct field *fields, size_t count)
{
    uint64_t size = 0;
    for (size_t i = 0; i < count; i++) size += fields[i].size;
    return size;
}

static uint8_t *put(uint8_t *out, const void *base, const struct field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        memcpy(out, (const uint8_t *)base + fields[i].at, fields[i].size);
        out += fields[i].size;
    }
    return out;
}

/* NULL, with nothing changed, where a bool is none. */
static const uint8_t *get(const uint8_t *in, void *base, const struct field *fields, size_t count)
{
    const uint8_t *at = in;
    for (size_t i = 0; i < count; at += fields[i++].size)
        if (fields[i].flag && *at > 1) return NULL;
    for (size_t i = 0; i < count; in += fields[i++].size) memcpy((uint8_t *)base + fields[i].at, in, fields[i].size);
    return in;
}

uint64_t cca_machine_state_size(const cca_machine *m)
{
    return size_of(machine_fields, COUNT(machine_fields)) + MACHINE_MORE +
           (m->gic ? size_of(gic_fields, COUNT(gic_fields)) : 0);
}

void cca_machine_save(cca_machine *m, void *out)
{
    uint8_t *at = put(out, m, machine_fields, COUNT(machine_fields));
    for (unsigned i = 0; i < GIC_MAX_PES; i++, at += 8) memcpy(at, &m->pes[i].edge, 8);
    if (!m->gic) return;
    for (unsigned i = 0; i < m->gic->config.npes; i++) gic_best(m->gic, i); /* derived: the same state, the same bytes */
    put(at, m->gic, gic_fields, COUNT(gic_fields));
}

/* What guests cannot write there either; the rest of the GIC's state may be anything. */
static void tidy_gic(struct gic *g, const struct gic *before)
{
    for (unsigned i = 0; i < GIC_MAX_PES; i++) {
        struct gic_cpu *cpu = &g->cpu[i];
        struct gic_pe *pe = &g->pe[i];
        cpu->bpr0 &= 7;
        for (unsigned b = 0; b < 2; b++) {
            cpu->bpr1[b] &= 7;
            cpu->cbpr[b] &= 1;
        }
        for (unsigned s = 0; s < 3; s++) cpu->eoimode[s] &= 1;
        cpu->enable &= 7;
        cpu->pmhe &= 1;
        cpu->pmr &= GIC_PRIORITY;
        cpu->sre_enable &= 3;
        pe->affinity = before->pe[i].affinity;
        pe->asleep &= 1;
        pe->held &= 7;
        pe->stale = i < g->config.npes; /* `best` is found anew */
        for (unsigned n = 0; n < 32; n++) pe->priority[n] &= GIC_PRIORITY;
    }
    for (unsigned n = 0; n < 1024; n++) g->priority[n] &= GIC_PRIORITY;
}

int cca_machine_restore(cca_machine *m, const void *in, uint64_t size)
{
    if (size != cca_machine_state_size(m)) return -1;
    const uint8_t *at = get(in, m, machine_fields, COUNT(machine_fields));
    for (unsigned i = 0; i < GIC_MAX_PES; i++, at += 8) memcpy(&m->pes[i].edge, at, 8);
    if (!m->gic) return 0;
    struct gic before = *m->gic;
    get(at, m->gic, gic_fields, COUNT(gic_fields));
    tidy_gic(m->gic, &before);
    for (unsigned i = 0; i < m->gic->config.npes; i++) gic_best(m->gic, i);
    return 0;
}

uint64_t cca_core_state_size(void)
{
    return size_of(core_fields, COUNT(core_fields)) + size_of(unseen_fields, COUNT(unseen_fields)) + CORE_MORE +
           sizeof(struct cca_engine_state);
}

static void forget_stale(struct cca_plain *plain, uint32_t generation)
{
    for (unsigned i = 0; i < CCA_PLAIN_BLOCKS; i++)
        if (plain[i].generation != generation) plain[i] = (struct cca_plain){0, 0, 0};
}

int cca_core_save(cca_core *c, void *out)
{
    forget_stale(c->plain, c->plain_generation);
    forget_stale(c->goes_on, c->plain_generation);
    uint8_t *at = put(out, c, core_fields, COUNT(core_fields));
    at = put(at, c, unseen_fields, COUNT(unseen_fields));
    uint64_t fetched = c->fetch_page != NULL;
    memcpy(at, &fetched, 8);
    struct cca_engine_state state;
    memset(&state, 0, sizeof state);
    if (!engine_save(c->e, &state)) return -1;
    memcpy(at + CORE_MORE, &state, sizeof state);
    return 0;
}

uint64_t cca_core_seen(cca_core *c, void *out)
{
    struct cca_engine_state state;
    memset(&state, 0, sizeof state);
    if (!engine_save(c->e, &state)) return 0;
    uint8_t *at = put(out, c, core_fields, COUNT(core_fields));
    memcpy(at, &state, sizeof state);
    return (uint64_t)(at - (uint8_t *)out) + sizeof state;
}

static int refuse(cca_core *c, const char *why)
{
    snprintf(c->error, sizeof c->error, "%s", why);
    return -1;
}

int cca_core_restore(cca_core *c, const void *in, uint64_t size)
{
    if (size != cca_core_state_size()) return refuse(c, "its state is of another size");
    const uint8_t *at = get(in, c, core_fields, COUNT(core_fields));
    if (at != NULL) at = get(at, c, unseen_fields, COUNT(unseen_fields));
    if (at == NULL) return refuse(c, "its state holds a bool that is none");
    bool levels = c->pmu.el <= 2 && c->fp_to[0] <= 3 && c->fp_to[1] <= 3 && c->fp_to[2] <= 3 && c->fp_to[3] <= 3;
    if (c->ndrop > CCA_PENDING_PAGES || c->debug.resume > 2 || !levels) {
        c->ndrop = 0;
        return refuse(c, "its state holds a count out of range");
    }
    c->pmu.selected &= 31;
    uint64_t fetched;
    memcpy(&fetched, at, 8);
    c->fetch_page = fetched ? cca_ram(&c->m->mem, c->fetch_pa & ~0xFFFull, 4096) : NULL;
    struct cca_engine_state state;
    memcpy(&state, at + CORE_MORE, sizeof state);
    uint32_t refused = engine_restore(c->e, &state);
    if (refused) {
        snprintf(c->error, sizeof c->error, "its engine does not take register %#x", refused);
        return -1;
    }
    c->mmu_dirty = true;
    c->watchpoints_stale = true;
    cca_forget_pages(c);
    engine_flush_all(c->e);
    return 0;
}

uint64_t cca_used_pages(const void *memory, uint64_t pages, uint8_t *used)
{
    const uint64_t *at = memory;
    uint64_t count = 0;
    for (uint64_t i = 0; i < pages; i++, at += 512) {
        if (!used[i]) continue;
        uint64_t any = 0;
        for (unsigned k = 0; k < 512 && !any; k += 8)
            any = at[k] | at[k + 1] | at[k + 2] | at[k + 3] | at[k + 4] | at[k + 5] | at[k + 6] | at[k + 7];
        used[i] = any != 0;
        count += used[i];
    }
    return count;
}

void cca_gather_pages(const void *memory, uint64_t pages, const uint8_t *used, void *out)
{
    for (uint64_t i = 0; i < pages; i++) {
        if (!used[i]) continue;
        memcpy(out, (const uint8_t *)memory + i * 4096, 4096);
        out = (uint8_t *)out + 4096;
    }
}

/* 0, or -1 with nothing written where there are not just as many pages as are named. */
int cca_scatter_pages(void *memory, uint64_t pages, const uint8_t *used, const void *in, uint64_t size)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < pages; i++) count += used[i] != 0;
    if (count * 4096 != size) return -1;
    for (uint64_t i = 0; i < pages; i++) {
        if (!used[i]) continue;
        memcpy((uint8_t *)memory + i * 4096, in, 4096);
        in = (const uint8_t *)in + 4096;
    }
    return 0;
}
