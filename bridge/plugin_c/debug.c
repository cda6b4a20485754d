/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A debugger's stops. Nothing that the guest sees may depend on them: time is the count of instructions at the start of
 * each block, and interrupts are taken there. So a run that was stopped inside a block goes on without looking at
 * deadlines until that block's own end, and one stopped at a block's start looks exactly as the block hook would have.
 *
 * A point is a code hook on one address, built into the code of that address alone.
 */
#include "traps.h"

enum { KIND_USER = 1, KIND_STEP = 2, KIND_CUT = 4, KIND_COUNT = 8 };
enum resume { RESUME_NORMAL, RESUME_INSIDE, RESUME_BOUNDARY };
enum step { STEP_NONE, STEP_ARMED, STEP_RUNNING };

/* No block is longer. */
enum { LONGEST_BLOCK = 1024 };

#define PAGE (~0xFFFull)

static unsigned current_el(struct cca_core *c)
{
    return (engine_pstate(c->e) >> 2) & 3;
}

static struct cca_debug_point *find(struct cca_core *c, uint64_t va)
{
    for (unsigned i = 0; i < c->debug.npoints; i++)
        if (c->debug.points[i].va == va) return &c->debug.points[i];
    return NULL;
}

static bool add(struct cca_core *c, uint64_t va, uint64_t pa, unsigned kind)
{
    struct cca_debug *d = &c->debug;
    struct cca_debug_point *p = find(c, va);
    if (p && (p->pa == pa || kind != KIND_USER)) {
        p->kinds |= (uint8_t)kind;
        return true;
    }
    if (p) { /* one of a single page, that is to be one of them all */
        engine_remove_point(c->e, va, p->pa);
        if (!engine_add_point(c->e, va, pa)) return false;
        p->pa = pa;
        p->kinds |= (uint8_t)kind;
        return true;
    }
    if (d->npoints == CCA_DEBUG_POINTS || !engine_add_point(c->e, va, pa)) return false;
    d->points[d->npoints++] = (struct cca_debug_point){va, pa, (uint8_t)kind};
    return true;
}

static void discard(struct cca_core *c, struct cca_debug_point *p, unsigned kind)
{
    struct cca_debug *d = &c->debug;
    p->kinds &= (uint8_t)~kind;
    if (p->kinds) return;
    engine_remove_point(c->e, p->va, p->pa);
    *p = d->points[--d->npoints];
}

static void discard_all(struct cca_core *c, unsigned kind)
{
    for (unsigned i = c->debug.npoints; i > 0; i--)
        if (c->debug.points[i - 1].kinds & kind) discard(c, &c->debug.points[i - 1], kind);
}

/* A point in the page that is being run. */
static bool add_here(struct cca_core *c, uint64_t va, unsigned kind)
{
    uint32_t insn;
    if (!cca_read_insn(c, va, (int)current_el(c), &insn)) return false;
    return add(c, va, c->fetch_pa & PAGE, kind);
}

static bool reported(const struct cca_core *c, uint64_t pc)
{
    return c->debug.pass_pc == pc && c->debug.pass_insns == c->own_insns;
}

static void report(struct cca_core *c, unsigned why)
{
    struct cca_debug *d = &c->debug;
    if (why & CCA_DEBUG_COUNT) c->m->debug.at = c->m->debug.near = CCA_NEVER;
    discard_all(c, KIND_STEP | KIND_CUT | KIND_COUNT);
    d->step = STEP_NONE;
    d->step_user = false;
    d->held = true;
    d->pass_pc = engine_pc(c->e);
    d->pass_insns = c->own_insns;
    c->exit.debug = why;
    cca_leave(c, CCA_EXIT_DEBUG);
}

bool cca_debug_enter(struct cca_core *c)
{
    struct cca_debug *d = &c->debug;
    if (c->m->debug.pending) {
        unsigned why = c->m->debug.pending;
        c->m->debug.pending = 0;
        report(c, why);
        return true;
    }
    if (d->resume == RESUME_NORMAL) return false;
    c->deadline = 0; /* the first block is for cca_debug_block */
    return true;
}

static void arm_step(struct cca_core *c, bool user)
{
    struct cca_debug *d = &c->debug;
    d->step = STEP_ARMED;
    d->step_user = user || d->step_user;
    d->step_pc = engine_pc(c->e);
    uint64_t next = d->step_pc + 4;
    if (((next ^ d->step_pc) & PAGE) == 0) add_here(c, next, KIND_STEP); /* if it cannot be read, it is not reached */
}

static bool overdue(const struct cca_core *c)
{
    return cca_due_each_block(c) || c->m->insns >= c->due;
}

static enum cca_verdict stop(struct cca_core *c, unsigned why)
{
    struct cca_debug *d = &c->debug;
    if (d->resume == RESUME_NORMAL) d->resume = RESUME_BOUNDARY;
    d->stopping = true;
    d->why = (uint8_t)why;
    c->block_insns = 0;
    engine_stop(c->e);
    return VERDICT_STOP;
}

static enum cca_verdict arm(struct cca_core *c, uint64_t va, unsigned kind)
{
    c->debug.arm_kind = (uint8_t)kind;
    c->debug.arm_va = va;
    return stop(c, 0);
}

static bool wanted(struct cca_core *c, uint64_t va, unsigned kind)
{
    const struct cca_debug_point *p = find(c, va);
    return !p || !(p->kinds & kind);
}

enum cca_verdict cca_debug_block(struct cca_core *c, uint64_t pc, uint32_t bytes)
{
    struct cca_debug *d = &c->debug;
    uint64_t insns = c->m->insns, at = c->m->debug.at;
    if (d->step == STEP_RUNNING || (d->step == STEP_ARMED && pc != d->step_pc))
        return stop(c, CCA_DEBUG_STEP);
    if (insns >= at) return stop(c, CCA_DEBUG_COUNT);
    if (at - insns < bytes >> 2 && wanted(c, pc + 4 * (at - insns), KIND_COUNT))
        return arm(c, pc + 4 * (at - insns), KIND_COUNT);
    if (d->resume == RESUME_INSIDE) {
        if (d->end - pc < bytes && wanted(c, d->end, KIND_CUT)) return arm(c, d->end, KIND_CUT);
        return VERDICT_RUN;
    }
    return d->resume == RESUME_BOUNDARY && !overdue(c) ? VERDICT_RUN : VERDICT_POLL;
}

void cca_debug_counted(struct cca_core *c)
{
    struct cca_debug *d = &c->debug;
    d->resume = RESUME_NORMAL;
    if (d->step == STEP_ARMED) d->step = STEP_RUNNING;
    c->deadline = cca_each_block(c) ? 0 : c->due;
}

bool cca_on_point(struct cca_core *c, uint64_t va)
{
    struct cca_debug *d = &c->debug;
    const struct cca_debug_point *p = find(c, va);
    if (!p) return false;
    d->with_stop = engine_stops_at(c->e, va);
    uint64_t left = c->block_insns - ((va - c->block_pc) >> 2);
    if ((p->kinds & KIND_USER) && !(d->pass_pc == va && d->pass_insns == c->own_insns - left)) return true;
    if ((p->kinds & KIND_STEP) && d->step == STEP_RUNNING && va == d->step_pc + 4) return true;
    if ((p->kinds & KIND_COUNT) && c->m->insns - left == c->m->debug.at) return true;
    return p->kinds & KIND_CUT && va == d->end;
}

/* The step is over: what was for it goes. */
static unsigned stepped(struct cca_core *c)
{
    struct cca_debug *d = &c->debug;
    unsigned why = d->step_user ? CCA_DEBUG_STEP : 0;
    d->step = STEP_NONE;
    d->step_user = false;
    discard_all(c, KIND_STEP);
    return why;
}

static void at_point(struct cca_core *c)
{
    struct cca_debug *d = &c->debug;
    uint64_t pc = engine_pc(c->e), end = c->block_pc + 4ull * c->block_insns;
    const struct cca_debug_point *p = find(c, pc);
    unsigned kinds = p ? p->kinds : 0, why = 0;
    cca_give_back(c, pc, false);
    if ((kinds & KIND_CUT) && pc == d->end) {
        d->resume = RESUME_NORMAL; /* a block ends here */
        discard_all(c, KIND_CUT);
    } else {
        d->resume = d->with_stop ? RESUME_NORMAL : RESUME_INSIDE; /* NORMAL: runs end here in any case */
        d->end = end;
    }
    if ((kinds & KIND_STEP) && d->step == STEP_RUNNING) why |= stepped(c);
    if ((kinds & KIND_COUNT) && c->m->insns == c->m->debug.at) why |= CCA_DEBUG_COUNT;
    if ((kinds & KIND_USER) && !reported(c, pc)) why |= CCA_DEBUG_BREAK;
    if (why) report(c, why);
}

bool cca_debug_after(struct cca_core *c, enum cca_stop stop)
{
    struct cca_debug *d = &c->debug;
    bool passed = d->passing;
    if (passed) {
        d->passing = false;
        c->flush_pending = true;
    }
    if (stop == CCA_STOP_POINT) {
        at_point(c);
        return true;
    }
    if (d->stopping) {
        d->stopping = false;
        unsigned why = d->why;
        if (d->arm_kind) {
            unsigned kind = d->arm_kind;
            d->arm_kind = 0;
            discard_all(c, kind);
            if (!add_here(c, d->arm_va, kind)) {
                c->exit.engine_error = -1;
                cca_leave(c, CCA_EXIT_ENGINE);
            }
            return true;
        }
        if (why == CCA_DEBUG_STEP) why = stepped(c);
        if (why) report(c, why);
        return true;
    }
    if (passed && stop == CCA_STOP_ASKED && c->stopped && c->exit.reason == CCA_EXIT_NONE && !c->found) {
        d->resume = RESUME_BOUNDARY; /* an exception instead of the access that was let through */
        return true;
    }
    /* A trapped instruction further on in the block: the run goes on up to it. */
    if (d->resume && stop == CCA_STOP_ASKED && c->found && cca_watch_goes_on(c)) return false;
    d->resume = RESUME_NORMAL;
    if (stop == CCA_STOP_REACHED) {
        uint64_t pc = engine_pc(c->e);
        const struct cca_debug_point *p = find(c, pc);
        if (!p) return false;
        cca_give_back(c, pc, false);
        unsigned why = (p->kinds & KIND_STEP) && d->step == STEP_RUNNING ? stepped(c) : 0;
        p = find(c, pc);
        if (p && (p->kinds & KIND_USER) && !reported(c, pc)) why |= CCA_DEBUG_BREAK;
        if (why) report(c, why);
        return true;
    }
    return false;
}

bool cca_debug_watched(struct cca_core *c, uint64_t va, const struct cca_xlate *x)
{
    const uint64_t at[3] = {va & PAGE, x->ipa & PAGE, x->pa & PAGE};
    for (unsigned i = 0; i < c->m->debug.nwatches; i++) {
        const struct cca_debug_watch *w = &c->m->debug.watches[i];
        if (((w->worlds >> c->cfg.pas) & 1) && w->first <= (at[w->space] | 0xFFF) && w->last >= at[w->space]) return true;
    }
    return false;
}

static const struct cca_debug_watch *hit(struct cca_core *c, const struct cca_ldst *l, uint64_t *address)
{
    if (!l->addr_known || l->prefetch) return NULL;
    uint64_t start = l->dc_zva ? l->addr & ~63ull : l->addr, size = l->bytes ? l->bytes : 1;
    bool first_page = ((start ^ c->fault_va) & 0x00FFFFFFFFFFF000ull) == 0;
    uint64_t low = first_page ? start & 0xFFF : 0;
    uint64_t high = first_page ? low + size - 1 : (start + size - 1) & 0xFFF;
    if (high > 0xFFF) high = 0xFFF;
    const struct cca_xlate *x = &c->fault_xlate;
    const uint64_t at[3] = {c->fault_va & PAGE, x->ipa & PAGE, x->pa & PAGE};
    unsigned access = (!l->write || l->atomic ? 1u : 0u) | (l->write || l->dc_zva ? 2u : 0u);
    for (unsigned i = 0; i < c->m->debug.nwatches; i++) {
        const struct cca_debug_watch *w = &c->m->debug.watches[i];
        uint64_t page = at[w->space];
        if (!((w->worlds >> c->cfg.pas) & 1) || !(w->access & access)) continue;
        if (w->first > (page | high) || w->last < (page | low)) continue;
        *address = w->first > (page | low) ? w->first : page | low;
        c->exit.ipa = (x->ipa & PAGE) | (*address & 0xFFF);
        c->exit.pa = (x->pa & PAGE) | (*address & 0xFFF);
        c->exit.is_write = (access & 2) != 0;
        return w;
    }
    return NULL;
}

/* An access to a page that a watchpoint lies in: false where there is nothing to look at after all. */
bool cca_debug_fault(struct cca_core *c)
{
    struct cca_debug *d = &c->debug;
    uint64_t pc = engine_pc(c->e), end = c->block_pc + 4ull * c->block_insns, address = 0;
    struct cca_ldst l;
    uint32_t insn;
    cca_give_back(c, pc, false);
    d->resume = RESUME_INSIDE;
    d->end = end;
    const struct cca_debug_watch *w = cca_decode_at(c, pc, current_el(c), &l, &insn) ? hit(c, &l, &address) : NULL;
    if (w && !reported(c, pc)) {
        report(c, CCA_DEBUG_WATCH);
        c->exit.far = address;
        c->exit.watch = w->id;
        return true;
    }
    d->passing = true;
    arm_step(c, false);
    return true;
}

int cca_debug_point(cca_core *c, uint64_t va, int on)
{
    struct cca_debug_point *p = find(c, va);
    if (on) return add(c, va, CCA_UNKNOWN_PA, KIND_USER) ? 0 : -1;
    if (p) discard(c, p, KIND_USER);
    return 0;
}

void cca_debug_step(cca_core *c, int on)
{
    if (on) {
        arm_step(c, true);
        return;
    }
    if (c->debug.step) stepped(c);
}

int cca_debug_watch(cca_machine *m, uint32_t id, uint32_t space, uint64_t first, uint64_t last, uint32_t access,
                    uint32_t worlds)
{
    struct cca_debug_machine *d = &m->debug;
    if (d->nwatches == CCA_DEBUG_WATCHES || space > CCA_WATCH_PA || first > last) return -1;
    d->watches[d->nwatches++] = (struct cca_debug_watch){id, space, access, worlds, first, last};
    for (size_t i = 0; i < m->ncores; i++) m->cores[i]->flush_pending = true;
    return 0;
}

void cca_debug_unwatch(cca_machine *m, uint32_t id)
{
    struct cca_debug_machine *d = &m->debug;
    for (unsigned i = 0; i < d->nwatches; i++) {
        if (d->watches[i].id != id) continue;
        d->watches[i] = d->watches[--d->nwatches];
        return;
    }
}

void cca_debug_at(cca_machine *m, uint64_t insns)
{
    m->debug.at = insns;
    m->debug.near = insns == CCA_NEVER ? CCA_NEVER : insns > LONGEST_BLOCK ? insns - LONGEST_BLOCK : 0;
}

void cca_debug_break(cca_machine *m)
{
    m->debug.pending = CCA_DEBUG_ASKED;
}

void cca_debug_gpf(cca_machine *m, int on)
{
    m->debug.gpf = on != 0;
}
