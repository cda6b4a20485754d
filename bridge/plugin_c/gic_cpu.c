/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CPU interface: ICC_* as the two Security states and EL3 see it (IHI 0069, chapters 4.8 and 12.2). */
#include "gic.h"

#define ICC(crm, op2) CCA_SYSREG(3, 0, 12, crm, op2)

enum {
    SRE = 7,
    CTLR_CBPR = 1 << 0,
    CTLR_EOIMODE = 1 << 1,
    CTLR_PMHE = 1 << 6,
    CTLR_FIXED = 4 << 8 | 1 << 15 | 1 << 18, /* PRIbits, A3V, RSS; 16 bits of INTID */
};

enum gic_class gic_class(uint32_t encoding)
{
    if (encoding == CCA_SYSREG(3, 0, 4, 6, 0)) return GIC_COMMON; /* ICC_PMR_EL1 */
    unsigned op1 = (encoding >> 11) & 7, crn = (encoding >> 7) & 15, crm = (encoding >> 3) & 15, op2 = encoding & 7;
    if (encoding >> 14 != 3 || crn != 12 || crm < 8) return GIC_NOT_OURS;
    if (op1 == 4) return crm == 9 && op2 == 5 ? GIC_SRE : crm == 10 || crm > 13 ? GIC_NOT_OURS : GIC_HYP;
    if (op1 == 6) return crm == 12 && (op2 == 4 || op2 == 5 || op2 == 7) ? GIC_ROOT : GIC_NOT_OURS;
    if (op1 != 0) return GIC_NOT_OURS;
    switch (crm) {
    case 8: return GIC_GROUP0;
    case 9: return op2 < 4 ? GIC_GROUP1 : GIC_NOT_OURS;
    case 11: return op2 >= 5 ? GIC_SGI : op2 == 1 || op2 == 3 ? GIC_COMMON : GIC_NOT_OURS;
    case 12: return op2 == 4 ? GIC_COMMON : op2 == 5 ? GIC_SRE : op2 == 6 ? GIC_GROUP0 : GIC_GROUP1;
    default: return GIC_NOT_OURS;
    }
}

/* Whose group the group 1 registers are about. EL3 is taken to look at its own state's, with SCR_EL3.NS clear. */
static enum gic_group group1(enum gic_state state)
{
    return state == GIC_NONSECURE ? GIC_G1NS : GIC_G1S;
}

static unsigned bank(enum gic_state state)
{
    return state == GIC_NONSECURE;
}

/* A priority as the Non-secure state sees it: 0 where it is none of its business (IHI 0069, 4.8.6). */
static unsigned priority_view(enum gic_state state, unsigned priority)
{
    if (priority >= GIC_IDLE) return 0xFF;
    if (state != GIC_NONSECURE) return priority;
    return priority & 0x80 ? (priority << 1) & 0xFF : 0;
}

/* ICC_HPPIR: pending for this group register, whatever the priority mask says. */
static unsigned pending_for(struct gic *g, unsigned pe, enum gic_state state, bool zero)
{
    unsigned best = gic_best(g, pe);
    if (best == GIC_NONE) return GIC_NONE;
    enum gic_group group = g->pe[pe].best_group;
    if (group == (zero ? GIC_G0 : group1(state))) return best;
    if (zero && state == GIC_EL3) return group == GIC_G1S ? 1020 : 1021;
    return GIC_NONE;
}

static unsigned acknowledge(struct gic *g, unsigned pe, enum gic_state state, bool zero)
{
    if (!gic_signalled(g, pe)) return GIC_NONE;
    unsigned intid = pending_for(g, pe, state, zero);
    if (intid < 1020) gic_activate(g, pe, intid);
    return intid;
}

static bool may_deactivate(struct gic *g, unsigned pe, enum gic_state state, unsigned intid)
{
    if (!gic_implements(g, intid)) return false;
    return state != GIC_NONSECURE || gic_group_of(g, pe, intid) == GIC_G1NS;
}

/* Drops the highest active priority, if it is of the group that the register is for. */
static void end_of_interrupt(struct gic *g, unsigned pe, enum gic_state state, bool zero, unsigned intid)
{
    struct gic_cpu *cpu = &g->cpu[pe];
    unsigned running = gic_running_priority(cpu);
    if (intid >= 1020 || running == GIC_IDLE) return;
    uint32_t bit = 1u << (running >> 3);
    enum gic_group group = (cpu->apr[GIC_G0] & bit) ? GIC_G0 : (cpu->apr[GIC_G1S] & bit) ? GIC_G1S : GIC_G1NS;
    if (zero != (group == GIC_G0)) return;
    if (group != GIC_G0 && state != GIC_EL3 && group != group1(state)) return;
    cpu->apr[group] &= ~bit;
    gic_changed(g);
    if (!cpu->eoimode[state] && may_deactivate(g, pe, state, intid)) gic_deactivate(g, pe, intid);
}

/* One SGI of one PE (IHI 0069, table "Forwarding an SGI to a target PE"). */
static void pend_sgi(struct gic *g, unsigned pe, unsigned target, bool secure, enum gic_group wanted, unsigned intid)
{
    struct gic_word *w = &g->pe[target].word;
    enum gic_group group = gic_group_of(g, target, intid);
    if (wanted == GIC_G1S && group == GIC_G0) wanted = GIC_G0;
    if (group != wanted) return;
    unsigned access = (w->nsacr[0] >> (2 * intid)) & 3;
    if (!secure && ((group == GIC_G0 && access < 1) || (group == GIC_G1S && access < 2))) return;
    w->latch |= 1u << intid;
    g->pe[target].stale = 1;
    if (target != pe) g->sgis++;
}

/* ICC_SGI0R, SGI1R, ASGI1R: TargetList, Aff1..3, RS, INTID; or, with IRM, all PEs but this one. */
static void send_sgi(struct gic *g, unsigned pe, bool secure, enum gic_group wanted, uint64_t v)
{
    unsigned intid = (v >> 24) & 15;
    uint64_t cluster = (v >> 16 & 0xFF) << 8 | (v >> 32 & 0xFF) << 16 | (v >> 48 & 0xFF) << 32;
    unsigned first = (unsigned)(v >> 44 & 15) * 16;
    for (unsigned i = 0; i < g->config.npes; i++) {
        if (v >> 40 & 1) {
            if (i != pe) pend_sgi(g, pe, i, secure, wanted, intid);
            continue;
        }
        uint64_t affinity = g->pe[i].affinity;
        unsigned aff0 = affinity & 0xFF;
        if ((affinity & ~0xFFull) != cluster || aff0 < first || aff0 >= first + 16) continue;
        if (v >> (aff0 - first) & 1) pend_sgi(g, pe, i, secure, wanted, intid);
    }
}

static void set_enable(struct gic *g, unsigned pe, enum gic_group group, bool on)
{
    struct gic_cpu *cpu = &g->cpu[pe];
    cpu->enable = (uint8_t)((cpu->enable & ~(1u << group)) | (unsigned)on << group);
    gic_changed(g);
}

static void priority_mask(struct gic_cpu *cpu, enum gic_state state, bool read, uint64_t *value)
{
    bool shifted = state == GIC_NONSECURE;
    if (read) *value = priority_view(state, cpu->pmr);
    else if (!shifted) cpu->pmr = *value & GIC_PRIORITY;
    else if (cpu->pmr & 0x80) cpu->pmr = (0x80 | (*value & 0xFF) >> 1) & GIC_PRIORITY;
}

static void binary_point1(struct gic_cpu *cpu, enum gic_state state, bool read, uint64_t *value)
{
    unsigned b = bank(state), least = GIC_MIN_BPR + b;
    if (cpu->cbpr[b]) { /* BPR0 serves both; the Non-secure view is one more, and cannot be written */
        if (read) *value = b ? (cpu->bpr0 < 7 ? cpu->bpr0 + 1u : 7u) : cpu->bpr0;
        else if (!b) cpu->bpr0 = (*value & 7) < GIC_MIN_BPR ? GIC_MIN_BPR : *value & 7;
        return;
    }
    if (read) *value = cpu->bpr1[b];
    else cpu->bpr1[b] = (uint8_t)((*value & 7) < least ? least : *value & 7);
}

/* ICC_CTLR_EL1: with two Security states only EL3 may choose CBPR and PMHE. */
static void control(struct gic_cpu *cpu, enum gic_state state, bool read, uint64_t *value)
{
    unsigned b = bank(state);
    if (read)
        *value = CTLR_FIXED | (cpu->cbpr[b] ? CTLR_CBPR : 0) | (cpu->eoimode[b] ? CTLR_EOIMODE : 0) |
                 (cpu->pmhe ? CTLR_PMHE : 0);
    else cpu->eoimode[b] = (*value & CTLR_EOIMODE) != 0;
}

/* ICC_CTLR_EL3: CBPR_EL1S, CBPR_EL1NS, EOImode_EL3, EOImode_EL1S, EOImode_EL1NS, RM (none), PMHE. */
static void control_el3(struct gic_cpu *cpu, bool read, uint64_t *value)
{
    if (read) {
        *value = CTLR_FIXED | (uint64_t)(cpu->cbpr[0] | cpu->cbpr[1] << 1 | cpu->eoimode[GIC_EL3] << 2 |
                                         cpu->eoimode[0] << 3 | cpu->eoimode[1] << 4 | cpu->pmhe << 6);
        return;
    }
    cpu->cbpr[0] = *value & 1;
    cpu->cbpr[1] = *value >> 1 & 1;
    cpu->eoimode[GIC_EL3] = *value >> 2 & 1;
    cpu->eoimode[0] = *value >> 3 & 1;
    cpu->eoimode[1] = *value >> 4 & 1;
    cpu->pmhe = *value >> 6 & 1;
}

/* Priorities that are the Secure world's alone are not the Normal world's to fake or to drop. */
static void active_priorities(struct gic_cpu *cpu, enum gic_group group, bool read, uint64_t *value)
{
    uint32_t mask = group == GIC_G1NS ? 0xFFFF0000u : UINT32_MAX;
    if (read) *value = cpu->apr[group] & mask;
    else cpu->apr[group] = (cpu->apr[group] & ~mask) | ((uint32_t)*value & mask);
}

static bool system_register_enable(struct gic_cpu *cpu, enum gic_state state, uint32_t encoding, bool read,
                                   uint64_t *value)
{
    unsigned op1 = (encoding >> 11) & 7;
    if (state != GIC_EL3 && op1 == 4 && !(cpu->sre_enable & 2)) return false;
    if (op1 == 0) {
        if (read) *value = SRE;
        return true;
    }
    unsigned bit = op1 == 6 ? 2 : 1;
    if (read) *value = SRE | (cpu->sre_enable & bit ? 8u : 0u);
    else cpu->sre_enable = (uint8_t)((cpu->sre_enable & ~bit) | ((*value & 8) ? bit : 0));
    return true;
}

bool gic_icc(struct gic *g, unsigned pe, enum gic_state state, bool fiq_to_el3, uint32_t encoding, bool read,
             uint64_t *value)
{
    struct gic_cpu *cpu = &g->cpu[pe];
    enum gic_class class = gic_class(encoding);
    enum gic_group own = group1(state);
    bool secure = state != GIC_NONSECURE;
    uint64_t v = *value;
    if (class == GIC_GROUP0 && state != GIC_EL3 && fiq_to_el3) return false;
    if (class == GIC_ROOT && state != GIC_EL3) return false;
    if (class == GIC_SRE) return system_register_enable(cpu, state, encoding, read, value);
    if (class == GIC_SGI && read) return false;
    switch (encoding) {
    case CCA_SYSREG(3, 0, 4, 6, 0): priority_mask(cpu, state, read, value); break;
    case ICC(8, 0):
        if (!read) return false;
        *value = acknowledge(g, pe, state, true);
        break;
    case ICC(12, 0):
        if (!read) return false;
        *value = acknowledge(g, pe, state, false);
        break;
    case ICC(8, 1):
    case ICC(12, 1):
        if (read) return false;
        end_of_interrupt(g, pe, state, encoding == ICC(8, 1), v & 0xFFFFFF);
        break;
    case ICC(8, 2):
    case ICC(12, 2):
        if (!read) return false;
        *value = pending_for(g, pe, state, encoding == ICC(8, 2));
        break;
    case ICC(8, 3):
        if (read) *value = cpu->bpr0;
        else cpu->bpr0 = (v & 7) < GIC_MIN_BPR ? GIC_MIN_BPR : v & 7;
        break;
    case ICC(12, 3): binary_point1(cpu, state, read, value); break;
    case ICC(8, 4): active_priorities(cpu, GIC_G0, read, value); break; /* 32 levels: AP0R0 and AP1R0 only */
    case ICC(9, 0): active_priorities(cpu, own, read, value); break;
    case ICC(11, 1):
        if (read) return false;
        if (cpu->eoimode[state] && may_deactivate(g, pe, state, v & 0xFFFFFF)) gic_deactivate(g, pe, v & 0xFFFFFF);
        break;
    case ICC(11, 3):
        if (!read) return false;
        *value = priority_view(state, gic_running_priority(cpu));
        break;
    case ICC(11, 5): send_sgi(g, pe, secure, own, v); break;
    case ICC(11, 6): send_sgi(g, pe, secure, secure ? GIC_G1NS : GIC_G1S, v); break;
    case ICC(11, 7): send_sgi(g, pe, secure, GIC_G0, v); break;
    case ICC(12, 4): control(cpu, state, read, value); break;
    case ICC(12, 6):
    case ICC(12, 7): {
        enum gic_group group = encoding == ICC(12, 6) ? GIC_G0 : own;
        if (read) *value = (cpu->enable >> group) & 1;
        else set_enable(g, pe, group, v & 1);
        break;
    }
    case CCA_SYSREG(3, 6, 12, 12, 4): control_el3(cpu, read, value); break;
    case CCA_SYSREG(3, 6, 12, 12, 5): return system_register_enable(cpu, state, encoding, read, value);
    case CCA_SYSREG(3, 6, 12, 12, 7): /* ICC_IGRPEN1_EL3: EnableGrp1NS, EnableGrp1S */
        if (read) {
            *value = (cpu->enable >> GIC_G1NS & 1) | (uint64_t)(cpu->enable >> GIC_G1S & 1) << 1;
        } else {
            set_enable(g, pe, GIC_G1NS, v & 1);
            set_enable(g, pe, GIC_G1S, v >> 1 & 1);
        }
        break;
    default: return false;
    }
    return true;
}
