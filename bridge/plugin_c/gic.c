/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupt states, and which interrupt a PE is signalled (IHI 0069, chapter 4). */
#include "gic.h"

#include <string.h>

#define AFFINITY 0xFF00FFFFFFull
#define ROUTE_ANY (1ull << 31)

static bool overlap(uint64_t a, uint64_t na, uint64_t b, uint64_t nb)
{
    return a < b + nb && b < a + na;
}

static void reset_cpu(struct gic_cpu *cpu)
{
    memset(cpu, 0, sizeof *cpu);
    cpu->bpr0 = cpu->bpr1[GIC_SECURE] = GIC_MIN_BPR;
    cpu->bpr1[GIC_NONSECURE] = GIC_MIN_BPR + 1;
    cpu->sre_enable = 3;
}

int gic_init(struct gic *g, const struct gic_config *config)
{
    const uint64_t frame = 0x10000, highest = 1ull << 52;
    if (config->npes == 0 || config->npes > GIC_MAX_PES || config->spis > GIC_MAX_SPIS) return -1;
    if (config->list_registers == 0 || config->list_registers > GIC_MAX_LRS) return -1;
    if ((config->dist | config->redist | config->stride) & (frame - 1)) return -1;
    if (config->stride < 2 * frame || config->stride > 1ull << 32) return -1;
    if (config->dist >= highest || config->redist >= highest) return -1;
    if (overlap(config->dist, frame, config->redist, config->stride * config->npes)) return -1;
    for (unsigned i = 0; i < config->npes; i++)
        for (unsigned k = 0; k < i; k++)
            if (((config->mpidr[i] ^ config->mpidr[k]) & AFFINITY) == 0) return -1;
    memset(g, 0, sizeof *g);
    g->config = *config;
    g->nwords = (config->spis + 63) / 32;
    for (unsigned i = 0; i < config->npes; i++) {
        struct gic_pe *p = &g->pe[i];
        p->affinity = config->mpidr[i] & AFFINITY;
        p->asleep = 1;
        p->stale = 1;
        p->word.edge = 0xFFFF; /* SGIs */
        reset_cpu(&g->cpu[i]);
    }
    return 0;
}

/* What EL3 firmware leaves before it goes down: every interrupt is the Normal world's, the Secure groups are on. */
void gic_handoff(struct gic *g)
{
    g->enable |= 1u << GIC_G0 | 1u << GIC_G1S;
    for (unsigned n = 1; n < g->nwords; n++) g->words[n].group = UINT32_MAX;
    memset(g->priority, 0x80, sizeof g->priority);
    for (unsigned i = 0; i < g->config.npes; i++) {
        g->pe[i].word.group = UINT32_MAX;
        memset(g->pe[i].priority, 0x80, sizeof g->pe[i].priority);
    }
    gic_changed(g);
}

/*
 * A PE's power: its CPU interface loses its state, its redistributor keeps its own. On: as EL3 firmware leaves it
 * at a warm boot, awake, with the Secure groups enabled and nothing masked.
 */
void gic_power(struct gic *g, unsigned pe, bool on)
{
    struct gic_cpu *cpu = &g->cpu[pe];
    reset_cpu(cpu);
    g->pe[pe].asleep = !on;
    if (on) {
        cpu->pmr = GIC_PRIORITY;
        cpu->enable = 1u << GIC_G0 | 1u << GIC_G1S;
    }
    gic_changed(g);
}

struct gic_word *gic_word(struct gic *g, unsigned pe, unsigned n)
{
    return n ? &g->words[n] : &g->pe[pe].word;
}

uint8_t *gic_priority(struct gic *g, unsigned pe, unsigned intid)
{
    return intid < 32 ? &g->pe[pe].priority[intid] : &g->priority[intid];
}

/* IGROUPR and IGRPMODR together; 1 in both is reserved and is Non-secure Group 1 (IHI 0069, 4.6). */
uint32_t gic_group_bits(const struct gic_word *w, enum gic_group group)
{
    if (group == GIC_G1NS) return w->group;
    return ~w->group & (group == GIC_G1S ? w->modifier : ~w->modifier);
}

enum gic_group gic_group_of(struct gic *g, unsigned pe, unsigned intid)
{
    const struct gic_word *w = gic_word(g, pe, intid / 32);
    uint32_t bit = 1u << (intid % 32);
    return (w->group & bit) ? GIC_G1NS : (w->modifier & bit) ? GIC_G1S : GIC_G0;
}

uint32_t gic_pending_bits(const struct gic_word *w)
{
    return w->latch | (w->line & ~w->edge);
}

bool gic_implements(const struct gic *g, unsigned intid)
{
    return intid < 32 + g->config.spis;
}

void gic_changed(struct gic *g)
{
    for (unsigned i = 0; i < g->config.npes; i++) g->pe[i].stale = 1;
}

int gic_set_line(struct gic *g, unsigned pe, unsigned intid, bool level)
{
    if (intid < 16 || !gic_implements(g, intid) || pe >= g->config.npes) return -1;
    struct gic_word *w = gic_word(g, pe, intid / 32);
    uint32_t bit = 1u << (intid % 32);
    if (((w->line & bit) != 0) == level) return 0;
    w->line ^= bit;
    if (level && (w->edge & bit)) w->latch |= bit;
    if (intid < 32) g->pe[pe].stale = 1;
    else gic_changed(g);
    return 0;
}

/* 1 of N is decided for the first PE that could take the interrupt, so that each run is the same. */
static bool routed_to(const struct gic *g, unsigned pe, unsigned intid, enum gic_group group)
{
    uint64_t route = g->router[intid];
    if (!(route & ROUTE_ANY)) return ((route ^ g->pe[pe].affinity) & AFFINITY) == 0;
    for (unsigned i = 0; i < g->config.npes; i++)
        if (!g->pe[i].asleep && (g->cpu[i].enable & (1u << group))) return i == pe;
    return false;
}

/* The highest-priority pending interrupt of a PE, of the lowest INTID among equals. */
unsigned gic_best(struct gic *g, unsigned pe)
{
    struct gic_pe *p = &g->pe[pe];
    if (!p->stale) return p->best;
    unsigned groups = g->enable & g->cpu[pe].enable & ~(unsigned)p->held;
    p->stale = 0;
    p->best = GIC_NONE;
    p->best_priority = GIC_IDLE;
    if (p->asleep || groups == 0) return p->best;
    for (unsigned n = 0; n < g->nwords; n++) {
        const struct gic_word *w = gic_word(g, pe, n);
        uint32_t candidates = gic_pending_bits(w) & w->enable & ~w->active;
        for (; candidates; candidates &= candidates - 1) {
            unsigned intid = n * 32 + (unsigned)__builtin_ctz(candidates);
            unsigned priority = *gic_priority(g, pe, intid);
            if (priority >= p->best_priority) continue;
            enum gic_group group = gic_group_of(g, pe, intid);
            if (!(groups & (1u << group)) || (n && !routed_to(g, pe, intid, group))) continue;
            p->best = (uint16_t)intid;
            p->best_priority = (uint16_t)priority;
            p->best_group = (uint8_t)group;
        }
    }
    return p->best;
}

unsigned gic_running_priority(const struct gic_cpu *cpu)
{
    uint32_t active = cpu->apr[0] | cpu->apr[1] | cpu->apr[2];
    return active ? (unsigned)__builtin_ctz(active) << 3 : GIC_IDLE;
}

/* Bits of a priority that preempt (IHI 0069, 4.8.3); the Non-secure binary point counts from one bit further. */
uint32_t gic_group_mask(const struct gic_cpu *cpu, enum gic_group group)
{
    enum gic_state state = group == GIC_G1NS ? GIC_NONSECURE : GIC_SECURE;
    unsigned bpr = cpu->bpr0;
    if (group != GIC_G0 && !cpu->cbpr[state]) bpr = cpu->bpr1[state] - (group == GIC_G1NS);
    return ~((2u << bpr) - 1) & 0xFF;
}

bool gic_signalled(struct gic *g, unsigned pe)
{
    const struct gic_pe *p = &g->pe[pe];
    const struct gic_cpu *cpu = &g->cpu[pe];
    if (gic_best(g, pe) == GIC_NONE || p->best_priority >= cpu->pmr) return false;
    return (p->best_priority & gic_group_mask(cpu, p->best_group)) < gic_running_priority(cpu);
}

/* How the PE is asked, by the Security state that it is in (IHI 0069, 4.6.2). */
int gic_lines(struct gic *g, unsigned pe, bool secure)
{
    if (!gic_signalled(g, pe)) return 0;
    return g->pe[pe].best_group == (secure ? GIC_G1S : GIC_G1NS) ? GIC_LINE_IRQ : GIC_LINE_FIQ;
}

void gic_activate(struct gic *g, unsigned pe, unsigned intid)
{
    struct gic_word *w = gic_word(g, pe, intid / 32);
    struct gic_cpu *cpu = &g->cpu[pe];
    enum gic_group group = gic_group_of(g, pe, intid);
    uint32_t bit = 1u << (intid % 32);
    w->latch &= ~bit;
    w->active |= bit;
    cpu->apr[group] |= 1u << ((*gic_priority(g, pe, intid) & gic_group_mask(cpu, group)) >> 3);
    gic_changed(g);
}

void gic_deactivate(struct gic *g, unsigned pe, unsigned intid)
{
    if (!gic_implements(g, intid)) return;
    gic_word(g, pe, intid / 32)->active &= ~(1u << (intid % 32));
    gic_changed(g);
}

int gic_inspect(struct gic *g, unsigned pe, unsigned intid, struct gic_irq *out)
{
    if (pe >= g->config.npes || !gic_implements(g, intid)) return -1;
    const struct gic_word *w = gic_word(g, pe, intid / 32);
    unsigned n = intid % 32;
    *out = (struct gic_irq){
        .group = (uint8_t)gic_group_of(g, pe, intid),
        .enabled = (w->enable >> n) & 1,
        .pending = (gic_pending_bits(w) >> n) & 1,
        .active = (w->active >> n) & 1,
        .edge = (w->edge >> n) & 1,
        .level = (w->line >> n) & 1,
        .priority = *gic_priority(g, pe, intid),
        .route = intid < 32 ? 0 : g->router[intid],
    };
    return 0;
}
