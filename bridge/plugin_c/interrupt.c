/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts as a core takes them: from the GIC's lines and the virtual ones, by HCR_EL2's routing and PSTATE's
 * masks, to a vector or out of the core (Arm ARM, D1.3.6 "Asynchronous exception types, routing, masking").
 *
 * Neither MSR DAIFClr nor ERET can be hooked. While something is signalled that may not be taken yet, the core's
 * deadline is 0, so that each block asks cca_poll; otherwise blocks pay nothing.
 */
#include "core.h"

#include <stdlib.h>
#include <string.h>

#define PSTATE_F (1u << 6)
#define PSTATE_I (1u << 7)
#define PSTATE_A (1u << 8)
#define PSTATE_EL (3u << 2)

#define PSTATE_POLLED (PSTATE_A | PSTATE_I | PSTATE_F | PSTATE_EL)

#define HCR_FMO (1ull << 3)
#define HCR_IMO (1ull << 4)
#define HCR_AMO (1ull << 5)
#define HCR_VF (1ull << 6)
#define HCR_VI (1ull << 7)
#define HCR_VSE (1ull << 8)
#define HCR_TGE (1ull << 27)
#define HCR_E2H (1ull << 34)
#define HCR_EL2 CCA_SYSREG(3, 4, 1, 1, 0)
#define ISR_EL1 CCA_SYSREG(3, 0, 12, 1, 0)

enum { VECTOR_IRQ = 0x80, VECTOR_FIQ = 0x100, VECTOR_SERROR = 0x180, LINE_SERROR = 4 };

/* What is signalled to a context, GIC_LINE_* and LINE_SERROR; the virtual ones as EL1 would see them. */
struct lines {
    unsigned physical, virtual;
    uint64_t hcr;
};

/* What is to be done about it now. */
struct action {
    enum cca_reason reason;  /* leave by it; or, with NONE: */
    unsigned target, vector; /* take it; vector 0: nothing */
    bool virtual;
};

static uint64_t hcr_of(struct cca_core *c)
{
    if (c->cfg.stage2) return c->cfg.hcr;
    return c->cfg.el == 2 ? engine_sysreg(c->e, HCR_EL2) : 0;
}

static bool is_secure(const struct cca_core *c)
{
    return c->cfg.pas == CCA_PAS_SECURE;
}

static struct lines lines_of(struct cca_core *c)
{
    struct gic *g = c->m->gic;
    struct lines l = {0, 0, 0};
    if (g && !g->config.virtual_only) l.physical = (unsigned)gic_lines(g, c->cfg.pe, is_secure(c));
    else if (g && g->config.maintenance && c->cfg.stage2 && gic_maintenance(g, &c->virt)) l.physical = GIC_LINE_IRQ;
    if (c->serror) l.physical |= LINE_SERROR;
    unsigned own = g ? (unsigned)gic_virtual_lines(g, &c->virt) : 0;
    if (l.physical == 0 && own == 0 && !c->vserror) return l;
    l.hcr = hcr_of(c);
    if (l.hcr & HCR_TGE) return l;
    if (l.hcr & HCR_IMO) l.virtual |= own & GIC_LINE_IRQ;
    if (l.hcr & HCR_FMO) l.virtual |= own & GIC_LINE_FIQ;
    if ((l.hcr & HCR_AMO) && c->vserror) l.virtual |= LINE_SERROR;
    return l;
}

/* HCR_EL2.VI and VF, which the engine itself delivers; they wake a WFI all the same. */
static unsigned engine_lines(struct cca_core *c)
{
    uint64_t hcr = c->cfg.el == 2 && !c->cfg.stage2 ? engine_sysreg(c->e, HCR_EL2) : 0;
    if (hcr & HCR_TGE) return 0;
    return ((hcr & (HCR_IMO | HCR_VI)) == (HCR_IMO | HCR_VI) ? GIC_LINE_IRQ : 0) |
           ((hcr & (HCR_FMO | HCR_VF)) == (HCR_FMO | HCR_VF) ? GIC_LINE_FIQ : 0);
}

static bool unmasked(unsigned el, unsigned target, uint32_t pstate, uint32_t mask, uint64_t hcr)
{
    if (el > target) return false;
    bool host_el0 = el == 0 && (hcr & (HCR_E2H | HCR_TGE)) == (HCR_E2H | HCR_TGE);
    if (el < target && target == 2 && !host_el0) return true;
    return !(pstate & mask);
}

/* EL3 comes first, then what goes to EL2 or EL1, then what the hypervisor shows its guest. */
static struct action decide(struct cca_core *c, const struct lines *l, uint32_t pstate)
{
    struct action a = {CCA_EXIT_NONE, 0, 0, false};
    unsigned el = (pstate >> 2) & 3;
    static const struct {
        unsigned line, vector;
        uint32_t mask;
        uint64_t route;
    } kinds[3] = {{GIC_LINE_FIQ, VECTOR_FIQ, PSTATE_F, HCR_FMO},
                  {GIC_LINE_IRQ, VECTOR_IRQ, PSTATE_I, HCR_IMO},
                  {LINE_SERROR, VECTOR_SERROR, PSTATE_A, HCR_AMO}};

    if ((l->physical & GIC_LINE_FIQ) && !c->fiq_to_el1) {
        bool normal = is_secure(c) && c->m->gic->pe[c->cfg.pe].best_group == GIC_G1NS;
        a.reason = normal ? CCA_EXIT_IRQ : CCA_EXIT_FIQ;
        return a;
    }
    if (c->cfg.stage2 && (l->physical & GIC_LINE_IRQ)) {
        a.reason = CCA_EXIT_IRQ;
        return a;
    }
    for (unsigned i = 0; i < 3; i++) {
        unsigned target = !c->cfg.stage2 && (l->hcr & (kinds[i].route | HCR_TGE)) ? 2 : 1;
        if (!(l->physical & kinds[i].line) || !unmasked(el, target, pstate, kinds[i].mask, l->hcr)) continue;
        a.target = target;
        a.vector = kinds[i].vector;
        return a;
    }
    for (unsigned i = 0; i < 3 && el < 2; i++) {
        if (!(l->virtual & kinds[i].line) || (pstate & kinds[i].mask)) continue;
        a.target = 1;
        a.vector = kinds[i].vector;
        a.virtual = true;
        return a;
    }
    return a;
}

static struct action evaluate(struct cca_core *c)
{
    struct action a = {CCA_EXIT_NONE, 0, 0, false};
    struct lines l = lines_of(c);
    c->irq_stale = false;
    c->polling = l.physical || l.virtual;
    if (c->polling) {
        uint32_t pstate = engine_pstate(c->e);
        c->polled_pstate = pstate & PSTATE_POLLED;
        a = decide(c, &l, pstate);
    }
    return a;
}

/* At a block's start, at or past the deadline: whether the block may run all the same. */
bool cca_poll(struct cca_core *c)
{
    if (c->m->insns >= c->due) return false;
    if (!c->irq_stale && !c->polling) {
        c->deadline = cca_each_block(c) ? 0 : c->due;
        return true;
    }
    if (!c->irq_stale && (engine_pstate(c->e) & PSTATE_POLLED) == c->polled_pstate) return true;
    struct action a = evaluate(c);
    if (a.reason != CCA_EXIT_NONE || a.vector) return false;
    c->deadline = cca_each_block(c) ? 0 : c->due;
    return true;
}

/* Between blocks: takes what may be taken, or leaves. */
void cca_take_interrupts(struct cca_core *c)
{
    struct action a = evaluate(c);
    if (a.reason != CCA_EXIT_NONE) {
        cca_leave(c, a.reason);
        return;
    }
    if (a.vector == 0) return;
    uint64_t esr = engine_sysreg(c->e, a.target == 2 ? CCA_SYSREG(3, 4, 5, 2, 0) : CCA_SYSREG(3, 0, 5, 2, 0));
    if (a.vector == VECTOR_SERROR) {
        esr = 0x2Full << 26 | 1ull << 25 | (a.virtual ? 0 : c->serror_iss);
        if (a.virtual) {
            c->vserror = false;
            engine_set_sysreg(c->e, HCR_EL2, engine_sysreg(c->e, HCR_EL2) & ~HCR_VSE);
        } else {
            c->serror = false;
        }
    }
    c->vector = a.vector;
    cca_take(c, a.target, engine_pc(c->e), esr, false, 0);
    c->vector = 0;
    c->irq_stale = true;
}

/* Something changed within a run: the next block looks. */
void cca_irq_changed(struct cca_core *c)
{
    c->irq_stale = true;
    c->deadline = 0;
}

void cca_hcr_written(struct cca_core *c, uint64_t value)
{
    c->vserror = (value & HCR_VSE) != 0;
    cca_irq_changed(c);
}

static void update_maintenance(struct cca_core *c)
{
    if (is_secure(c)) return;
    gic_set_line(c->m->gic, c->cfg.pe, GIC_PPI_MAINTENANCE, gic_maintenance(c->m->gic, &c->virt));
}

/* A context is about to run: its PE's lines are those of now. */
void cca_irq_enter(struct cca_core *c)
{
    if (c->m->gic == NULL) return;
    if (c->m->insns >= c->m->pes[c->cfg.pe].edge) cca_update_lines(c->m, c->cfg.pe, c->m->insns);
    update_maintenance(c);
}

/* ICC_* of a guest of this context's EL2 are ICV_* (IHI 0069, 6.2); a realm's are always. */
static bool is_virtual(struct cca_core *c, unsigned el, enum gic_class class)
{
    if (el >= 2 || is_secure(c)) return false;
    uint64_t hcr = hcr_of(c);
    switch (class) {
    case GIC_GROUP0: return hcr & HCR_FMO;
    case GIC_GROUP1: return hcr & HCR_IMO;
    case GIC_COMMON:
    case GIC_SGI: return hcr & (HCR_IMO | HCR_FMO);
    default: return false;
    }
}

/* Whether EL2 has this access trapped; raised by undefined(), for which cca_gic_sysreg leaves it to the engine. */
bool cca_gic_traps(struct cca_core *c, unsigned el, uint32_t encoding, bool read)
{
    if (c->m->gic == NULL || el != 1 || is_secure(c) || (c->cfg.el != 2 && !c->cfg.stage2)) return false;
    enum gic_class class = gic_class(encoding);
    if (class == GIC_NOT_OURS) return false;
    if (class == GIC_SGI && (read || is_virtual(c, el, class))) return !read;
    if (encoding == CCA_SYSREG(3, 0, 12, 12, 5)) return !(c->m->gic->cpu[c->cfg.pe].sre_enable & 1);
    return gic_virtual_trap(&c->virt, class, encoding);
}

/* ISR_EL1: what is pending for the level that looks, virtual where the physical one is not its own. */
static uint64_t isr(struct cca_core *c, unsigned el)
{
    struct lines l = lines_of(c);
    unsigned seen = 0, native = engine_lines(c);
    static const uint64_t route[3] = {HCR_IMO, HCR_FMO, HCR_AMO};
    uint64_t hcr = hcr_of(c);
    for (unsigned i = 0; i < 3; i++) {
        bool virtual = el < 2 && (hcr & route[i]);
        seen |= (virtual ? l.virtual | native : l.physical) & (1u << i);
    }
    return (seen & GIC_LINE_IRQ ? 1u << 7 : 0) | (seen & GIC_LINE_FIQ ? 1u << 6 : 0) |
           (seen & LINE_SERROR ? 1u << 8 : 0);
}

/* Another PE has something to do: it gets its turn. */
static void end_turn(struct cca_core *c)
{
    c->slice_end = c->due = c->m->insns;
}

static bool others_signalled(struct cca_core *c)
{
    struct gic *g = c->m->gic;
    for (unsigned i = 0; i < g->config.npes; i++)
        if (i != c->cfg.pe && gic_signalled(g, i)) return true;
    return false;
}

bool cca_gic_sysreg(struct cca_core *c, uint32_t encoding, unsigned el, bool read, uint64_t value, uint64_t *out)
{
    struct gic *g = c->m->gic;
    if (g == NULL || el == 0 || (g->config.virtual_only && !c->cfg.stage2)) return false;
    if (encoding == ISR_EL1 && read) {
        *out = isr(c, el);
        return true;
    }
    enum gic_class class = gic_class(encoding);
    if (class == GIC_NOT_OURS || cca_gic_traps(c, el, encoding, read)) return false;
    uint64_t sent = g->sgis;
    bool done;
    *out = value;
    if (class == GIC_HYP) done = el == 2 && gic_ich(g, &c->virt, encoding, read, out);
    else if (is_virtual(c, el, class)) {
        done = gic_icv(g, c->cfg.pe, &c->virt, encoding, read, out);
        c->virt_touched = true;
    }
    else if (c->cfg.stage2 && class != GIC_SRE) done = false;
    else
        done = gic_icc(g, c->cfg.pe, is_secure(c) ? GIC_SECURE : GIC_NONSECURE, !c->fiq_to_el1, encoding, read, out);
    if (!done) return false;
    update_maintenance(c);
    cca_irq_changed(c);
    if (g->sgis != sent) end_turn(c);
    return true;
}

/* A device access that translates to a frame of the GIC; false where it does not. */
bool cca_gic_mmio(struct cca_core *c)
{
    struct gic *g = c->m->gic;
    struct cca_exit *x = &c->exit;
    uint64_t value = x->value;
    if (g == NULL || g->config.virtual_only) return false;
    uint64_t in_dist = x->pa - g->config.dist, in_redist = x->pa - g->config.redist;
    if (in_dist >= 0x10000 && in_redist >= g->config.stride * g->config.npes) return false;
    if (x->pas == CCA_PAS_REALM) {
        cca_external_abort(c);
        return true;
    }
    gic_access(g, x->pa, x->size, x->pas != CCA_PAS_NS, !x->is_write, &value);
    cca_finish_mmio(c, value);
    if (x->is_write && c->solo && others_signalled(c)) end_turn(c);
    return true;
}

/* WFI with a GIC: until an interrupt is signalled, masked or not. False: this context must wait. */
bool cca_sleep(struct cca_core *c)
{
    cca_machine *m = c->m;
    for (;;) {
        if (cca_irq_lines(c) || (c->cfg.irq_exits && cca_timer_fires(c))) return true;
        if (!c->solo) return false;
        uint64_t at = cca_wake_at(c);
        if (at == CCA_NEVER || at >= m->limit || at > m->turn_end) return false;
        if (at > m->insns) m->insns = at;
    }
}

int cca_machine_add_gic(cca_machine *m, const struct gic_config *config)
{
    if (m->gic || m->ncores) return -1;
    struct gic *g = malloc(sizeof *g);
    if (g == NULL) return -1;
    if (gic_init(g, config) != 0) {
        free(g);
        return -1;
    }
    m->gic = g;
    return 0;
}

void cca_gic_handoff(cca_machine *m)
{
    if (m->gic) gic_handoff(m->gic);
}

int cca_gic_power(cca_machine *m, uint32_t pe, int on)
{
    if (m->gic == NULL || pe >= m->gic->config.npes) return -1;
    gic_power(m->gic, pe, on != 0);
    return 0;
}

void cca_gic_reset(cca_machine *m)
{
    if (m->gic == NULL) return;
    const struct gic_config config = m->gic->config;
    gic_init(m->gic, &config);
}

int cca_gic_hold_secure(cca_machine *m, uint32_t pe, int on)
{
    if (m->gic == NULL || pe >= m->gic->config.npes) return -1;
    m->gic->pe[pe].held = on ? 1u << GIC_G0 | 1u << GIC_G1S : 0;
    m->gic->pe[pe].stale = 1;
    return 0;
}

int cca_gic_set_line(cca_machine *m, uint32_t intid, int level)
{
    return m->gic == NULL || intid < 32 ? -1 : gic_set_line(m->gic, 0, intid, level != 0);
}

int cca_gic_set_ppi(cca_machine *m, uint32_t pe, uint32_t intid, int level)
{
    return m->gic == NULL || intid >= 32 ? -1 : gic_set_line(m->gic, pe, intid, level != 0);
}

int cca_gic_inspect(cca_machine *m, uint32_t pe, uint32_t intid, struct gic_irq *out)
{
    return m->gic == NULL ? -1 : gic_inspect(m->gic, pe, intid, out);
}

int cca_gic_access(cca_machine *m, uint64_t pa, uint32_t size, int secure, int is_write, uint64_t *value)
{
    return m->gic && gic_access(m->gic, pa, size, secure != 0, !is_write, value) ? 0 : -1;
}

int cca_gic_root(cca_machine *m, uint32_t pe, uint32_t encoding, int is_write, uint64_t *value)
{
    if (m->gic == NULL || pe >= m->gic->config.npes) return -1;
    return gic_icc(m->gic, pe, GIC_EL3, false, encoding & 0xFFFF, !is_write, value) ? 0 : -1;
}

void cca_gic_load(cca_core *c, uint64_t hcr, uint32_t count, const uint64_t *lrs)
{
    c->virt.hcr = hcr;
    for (unsigned i = 0; i < GIC_MAX_LRS; i++) c->virt.lr[i] = i < count ? lrs[i] : 0;
}

int cca_gic_touched(cca_core *c)
{
    bool touched = c->virt_touched;
    c->virt_touched = false;
    return touched;
}

void cca_gic_save(cca_core *c, uint64_t *out)
{
    uint64_t vmcr = 0;
    if (c->m->gic) gic_ich(c->m->gic, &c->virt, CCA_SYSREG(3, 4, 12, 11, 7), true, &vmcr);
    out[0] = c->virt.hcr;
    out[1] = c->m->gic ? gic_misr(c->m->gic, &c->virt) : 0;
    out[2] = vmcr;
    memcpy(out + 3, c->virt.lr, sizeof c->virt.lr);
    out[3 + GIC_MAX_LRS] = c->virt.apr[0];
    out[4 + GIC_MAX_LRS] = c->virt.apr[1];
}

int cca_irq_lines(cca_core *c)
{
    cca_irq_enter(c);
    struct lines l = lines_of(c);
    unsigned el = (engine_pstate(c->e) >> 2) & 3, lines = l.physical;
    if (el < 2) lines |= l.virtual | engine_lines(c);
    return (int)lines;
}

void cca_set_fiq_to_el1(cca_core *c, int on)
{
    c->fiq_to_el1 = on && is_secure(c);
    c->irq_stale = true;
}

void cca_pend_serror(cca_core *c, uint32_t iss)
{
    c->serror = true;
    c->serror_iss = iss & 0x1FFFFFF;
}
