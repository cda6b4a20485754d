/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtual time is retired instructions; counters and timers derive from it and from nothing else. */
#include "core.h"

enum { CTL_ENABLE = 1, CTL_IMASK = 2, CTL_ISTATUS = 4 };

uint64_t cca_now(struct cca_core *c)
{
    uint64_t now = c->m->insns;
    if (c->block_insns) {
        uint64_t done = (engine_pc(c->e) - c->block_pc) >> 2;
        if (done < c->block_insns) now -= c->block_insns - done;
    }
    return now;
}

uint64_t cca_ticks_at(const struct cca_machine *m, uint64_t insns)
{
    return (uint64_t)((unsigned __int128)insns * m->cntfrq / m->rate);
}

uint64_t cca_now_ticks(struct cca_core *c)
{
    return cca_ticks_at(c->m, cca_now(c));
}

/* The first instruction count at which the counter has reached `ticks`; never, where the count might wrap. */
static uint64_t insns_for(const struct cca_machine *m, uint64_t ticks)
{
    unsigned __int128 n = ((unsigned __int128)ticks * m->rate + m->cntfrq - 1) / m->cntfrq;
    return n > CCA_NEVER / 2 ? CCA_NEVER : (uint64_t)n;
}

static bool asserted(const struct cca_timer *t, uint64_t count)
{
    return (t->ctl & CTL_ENABLE) && count >= t->cval;
}

/* CTL as it reads: ISTATUS is not stored. */
static uint64_t ctl_value(const struct cca_timer *t, uint64_t count)
{
    return (t->ctl & (CTL_ENABLE | CTL_IMASK)) | (asserted(t, count) ? CTL_ISTATUS : 0);
}

static bool fires(const struct cca_timer *t, uint64_t count)
{
    return asserted(t, count) && !(t->ctl & CTL_IMASK);
}

/* When a timer's line changes next: at its CVAL, or, once it is asserted, where the counter wraps (an offset may be ahead
 * of the count, or negative: all of it is modulo 2^64). */
static uint64_t next_change(const struct cca_core *c, const struct cca_timer *t, uint64_t offset, uint64_t now_ticks)
{
    if (!(t->ctl & CTL_ENABLE) || (t->ctl & CTL_IMASK) || t->cval == 0) return CCA_NEVER;
    uint64_t count = now_ticks - offset;
    uint64_t at = now_ticks + (count < t->cval ? t->cval - count : -count);
    return at < now_ticks ? CCA_NEVER : insns_for(c->m, at);
}

/* The timers of one context that are wired to its PE's PPIs; EL3 firmware keeps the others of a Secure one. */
static unsigned wired(struct cca_core *c, struct cca_timer **timers, uint64_t *offsets, unsigned *intids)
{
    if (c->cfg.pas == CCA_PAS_SECURE) {
        timers[0] = &c->cntps, offsets[0] = 0, intids[0] = GIC_PPI_CNTPS;
        return 1;
    }
    timers[0] = &c->cntp, offsets[0] = 0, intids[0] = GIC_PPI_CNTP;
    timers[1] = &c->cntv, offsets[1] = c->cntvoff, intids[1] = GIC_PPI_CNTV;
    timers[2] = &c->cnthp, offsets[2] = 0, intids[2] = GIC_PPI_CNTHP;
    timers[3] = &c->cnthv, offsets[3] = 0, intids[3] = GIC_PPI_CNTHV;
    return 4;
}

void cca_update_lines(struct cca_machine *m, unsigned pe, uint64_t insns)
{
    struct cca_core *contexts[2] = {m->pes[pe].normal, m->pes[pe].secure};
    uint64_t ticks = cca_ticks_at(m, insns), edge = CCA_NEVER;
    for (unsigned i = 0; i < 2; i++) {
        struct cca_timer *timers[4];
        uint64_t offsets[4];
        unsigned intids[4], n = contexts[i] ? wired(contexts[i], timers, offsets, intids) : 0;
        for (unsigned k = 0; k < n; k++) {
            uint64_t next = next_change(contexts[i], timers[k], offsets[k], ticks);
            if (next < edge) edge = next;
            gic_set_line(m->gic, pe, intids[k], fires(timers[k], ticks - offsets[k]));
        }
    }
    m->pes[pe].edge = edge;
}

void cca_drop_lines(struct cca_core *c)
{
    struct cca_machine *m = c->m;
    struct cca_pe *pe = &m->pes[c->cfg.pe];
    struct cca_timer *timers[4];
    uint64_t offsets[4];
    unsigned intids[4];
    if (pe->normal != c && pe->secure != c) return;
    for (unsigned n = m->gic ? wired(c, timers, offsets, intids) : 0; n > 0; n--)
        gic_set_line(m->gic, c->cfg.pe, intids[n - 1], false);
    if (pe->normal == c) pe->normal = NULL;
    else pe->secure = NULL;
    pe->edge = 0;
}

static uint64_t next_timer(struct cca_core *c)
{
    uint64_t ticks = cca_ticks_at(c->m, c->m->insns);
    uint64_t a = next_change(c, &c->cntp, 0, ticks);
    uint64_t b = next_change(c, &c->cntv, c->cntvoff, ticks);
    uint64_t h = next_change(c, &c->cnthp, 0, ticks);
    if (b < a) a = b;
    return h < a ? h : a;
}

/* True when the asserted state of a timer differs from what this context was last told. */
bool cca_timer_fires(struct cca_core *c)
{
    uint64_t ticks = cca_ticks_at(c->m, c->m->insns);
    bool p = fires(&c->cntp, ticks), v = fires(&c->cntv, ticks - c->cntvoff);
    return (p && !c->timer_seen[0]) || (v && !c->timer_seen[1]);
}

void cca_update_deadline(struct cca_core *c)
{
    uint64_t d = c->slice_end;
    if (c->m->limit < d) d = c->m->limit;
    if (c->cfg.irq_exits) {
        uint64_t t = next_timer(c);
        if (t < d) d = t;
        if (cca_timer_fires(c)) d = 0;
    }
    if (c->m->gic && c->m->pes[c->cfg.pe].edge < d) d = c->m->pes[c->cfg.pe].edge;
    c->due = cca_pmu_deadline(c, d);
    c->deadline = cca_each_block(c) ? 0 : c->due;
    if (c->m->debug.near < c->deadline) c->deadline = c->m->debug.near;
}

/* A timer was written: its line may change at once. */
static void timer_changed(struct cca_core *c)
{
    if (c->m->gic) {
        cca_update_lines(c->m, c->cfg.pe, cca_now(c));
        cca_irq_changed(c);
    }
    cca_update_deadline(c);
}

uint64_t cca_wake_at(cca_core *c)
{
    uint64_t at = CCA_NEVER;
    if (c->m->gic) {
        if (c->m->insns >= c->m->pes[c->cfg.pe].edge) cca_update_lines(c->m, c->cfg.pe, c->m->insns);
        at = c->m->pes[c->cfg.pe].edge;
    }
    if (c->cfg.irq_exits) {
        uint64_t own = next_timer(c);
        if (own < at) at = own;
    }
    return at;
}

void cca_skip_to(cca_machine *m, uint64_t insns)
{
    if (insns > m->insns && insns != CCA_NEVER) m->insns = insns;
}

bool cca_skip_to_timer(struct cca_core *c)
{
    if (!c->cfg.irq_exits) return false;
    uint64_t t = next_timer(c);
    if (t == CCA_NEVER || t >= c->m->limit || t > c->m->turn_end || !c->solo) return false;
    if (t > c->m->insns) c->m->insns = t;
    return true;
}

void cca_give_back(struct cca_core *c, uint64_t pc, bool begun)
{
    if (c->block_insns == 0) return;
    uint64_t done = (pc - c->block_pc) >> 2;
    if (c->covered) cca_cover_cut(c, done + begun);
    if (done < c->block_insns) {
        c->m->insns -= c->block_insns - done;
        c->own_insns -= c->block_insns - done;
    }
    c->block_insns = 0;
}

/* op0 = 3, CRn = 14. Returns false where the access is not ours to carry out (let the engine decide). */
bool cca_timer_sysreg(struct cca_core *c, uint32_t encoding, bool read, uint64_t value, uint64_t *out)
{
    uint64_t now = cca_now_ticks(c);
    struct cca_timer *t;
    uint64_t offset = 0;
    switch (encoding) {
    case CCA_SYSREG(3, 3, 14, 0, 0): /* CNTFRQ_EL0; writable at the highest EL only, which is EL3 */
        if (!read) return true;
        *out = c->m->cntfrq;
        return true;
    case CCA_SYSREG(3, 3, 14, 0, 1): /* CNTPCT_EL0 */
    case CCA_SYSREG(3, 3, 14, 0, 5): /* CNTPCTSS_EL0 */
        *out = now;
        return read;
    case CCA_SYSREG(3, 3, 14, 0, 2): /* CNTVCT_EL0 */
    case CCA_SYSREG(3, 3, 14, 0, 6): /* CNTVCTSS_EL0 */
        *out = now - c->cntvoff;
        return read;
    case CCA_SYSREG(3, 4, 14, 0, 3): /* CNTVOFF_EL2 */
        if (read) *out = c->cntvoff;
        else c->cntvoff = value;
        timer_changed(c);
        return true;
    default: break;
    }
    uint32_t group = encoding & ~7u;
    if (group == CCA_SYSREG(3, 3, 14, 2, 0)) t = &c->cntp;
    else if (group == CCA_SYSREG(3, 3, 14, 3, 0)) t = &c->cntv, offset = c->cntvoff;
    else if (group == CCA_SYSREG(3, 4, 14, 2, 0)) t = &c->cnthp;
    else if (group == CCA_SYSREG(3, 4, 14, 3, 0)) t = &c->cnthv; /* the engine has it, on host time */
    else if (group == CCA_SYSREG(3, 7, 14, 2, 0) && c->cfg.pas == CCA_PAS_SECURE) t = &c->cntps;
    else return false;
    uint64_t count = now - offset;
    switch (encoding & 7) {
    case 0: /* TVAL: a signed 32-bit view of CVAL - count */
        if (read) *out = (uint32_t)(t->cval - count);
        else t->cval = count + (uint64_t)(int64_t)(int32_t)value;
        break;
    case 1:
        if (read) *out = ctl_value(t, count);
        else t->ctl = value & (CTL_ENABLE | CTL_IMASK);
        break;
    case 2:
        if (read) *out = t->cval;
        else t->cval = value;
        break;
    default: return false;
    }
    if (!read) {
        /* a timer that is no longer asserted may assert anew */
        if (t == &c->cntp && !fires(t, count)) c->timer_seen[0] = false;
        if (t == &c->cntv && !fires(t, count)) c->timer_seen[1] = false;
        timer_changed(c);
    }
    return true;
}

uint64_t cca_insns(cca_machine *m)
{
    return m->insns;
}

uint64_t cca_ticks(cca_machine *m)
{
    return cca_ticks_at(m, m->insns);
}

void cca_set_limit(cca_machine *m, uint64_t insns)
{
    m->limit = insns ? insns : CCA_NEVER;
}

void cca_set_turn(cca_machine *m, uint64_t insns)
{
    m->turn_end = insns;
}

void cca_get_timers(cca_core *c, uint64_t *out)
{
    uint64_t ticks = cca_ticks_at(c->m, c->m->insns);
    out[0] = ctl_value(&c->cntp, ticks);
    out[1] = c->cntp.cval;
    out[2] = ctl_value(&c->cntv, ticks - c->cntvoff);
    out[3] = c->cntv.cval;
}

int cca_timers_asserted(cca_core *c)
{
    uint64_t ticks = cca_ticks_at(c->m, c->m->insns);
    return (fires(&c->cntp, ticks) ? 1 : 0) | (fires(&c->cntv, ticks - c->cntvoff) ? 2 : 0);
}
