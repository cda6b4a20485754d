/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The virtual CPU interface: ICH_* for the hypervisor, ICV_* for its guest (IHI 0069, chapters 6 and 12.4). */
#include "gic.h"

#define ICC(crm, op2) CCA_SYSREG(3, 0, 12, crm, op2)
#define ICH(crm, op2) CCA_SYSREG(3, 4, 12, crm, op2)

#define LR_VINTID(lr) ((uint32_t)(lr))
#define LR_PINTID(lr) ((unsigned)((lr) >> 32) & 0x1FFF)
#define LR_EOI (1ull << 41)
#define LR_PRIORITY(lr) ((unsigned)((lr) >> 48) & GIC_PRIORITY)
#define LR_GROUP(lr) ((unsigned)((lr) >> 60) & 1)
#define LR_HW (1ull << 61)
#define LR_PENDING (1ull << 62)
#define LR_ACTIVE (1ull << 63)
#define LR_STATE (3ull << 62)
#define LR_WRITABLE 0xF0FF1FFFFFFFFFFFull

enum {
    HCR_EN = 1 << 0,
    HCR_UIE = 1 << 1,
    HCR_LRENPIE = 1 << 2,
    HCR_NPIE = 1 << 3,
    HCR_VGRP0EIE = 1 << 4,
    HCR_VGRP0DIE = 1 << 5,
    HCR_VGRP1EIE = 1 << 6,
    HCR_VGRP1DIE = 1 << 7,
    HCR_TC = 1 << 10,
    HCR_TALL0 = 1 << 11,
    HCR_TALL1 = 1 << 12,
    HCR_TDIR = 1 << 14,
    HCR_EOICOUNT_SHIFT = 27,
    LPI_FIRST = 8192,
};
#define HCR_EOICOUNT (31ull << HCR_EOICOUNT_SHIFT)
#define HCR_WRITABLE (HCR_EOICOUNT | 0xDCFFull) /* En to VGrp1DIE, TC, TALL0, TALL1, TDIR, DVIM */

enum {
    VMCR_ENG0 = 1 << 0,
    VMCR_ENG1 = 1 << 1,
    VMCR_FIQEN = 1 << 3, /* RES1 with system registers */
    VMCR_CBPR = 1 << 4,
    VMCR_EOIM = 1 << 9,
    VMCR_BPR1 = 18,
    VMCR_BPR0 = 21,
    VMCR_PMR = 24,
};

static unsigned vmcr_bpr(const struct gic_virt *v, unsigned group)
{
    unsigned bpr = (v->vmcr >> (group ? VMCR_BPR1 : VMCR_BPR0)) & 7, least = GIC_MIN_BPR + group;
    return bpr < least ? least : bpr;
}

static unsigned vmcr_pmr(const struct gic_virt *v)
{
    return (v->vmcr >> VMCR_PMR) & GIC_PRIORITY;
}

static uint32_t group_mask(const struct gic_virt *v, unsigned group)
{
    unsigned bpr = group && !(v->vmcr & VMCR_CBPR) ? vmcr_bpr(v, 1) - 1 : vmcr_bpr(v, 0);
    return ~((2u << bpr) - 1) & 0xFF;
}

static unsigned running_priority(const struct gic_virt *v)
{
    uint32_t active = v->apr[0] | v->apr[1];
    return active ? (unsigned)__builtin_ctz(active) << 3 : GIC_IDLE;
}

/* The list register of the highest-priority pending interrupt of the enabled groups, or -1. */
static int best(const struct gic *g, const struct gic_virt *v)
{
    int found = -1;
    if (!(v->hcr & HCR_EN)) return -1;
    for (unsigned i = 0; i < g->config.list_registers; i++) {
        uint64_t lr = v->lr[i];
        if ((lr & LR_STATE) != LR_PENDING || !((v->vmcr >> LR_GROUP(lr)) & 1)) continue;
        if (found >= 0) {
            unsigned a = LR_PRIORITY(lr), b = LR_PRIORITY(v->lr[found]);
            if (a > b || (a == b && LR_VINTID(lr) >= LR_VINTID(v->lr[found]))) continue;
        }
        found = (int)i;
    }
    return found;
}

static bool signalled(const struct gic_virt *v, int i)
{
    if (i < 0) return false;
    unsigned priority = LR_PRIORITY(v->lr[i]);
    return priority < vmcr_pmr(v) && (priority & group_mask(v, LR_GROUP(v->lr[i]))) < running_priority(v);
}

int gic_virtual_lines(const struct gic *g, const struct gic_virt *v)
{
    if (!(v->hcr & HCR_EN)) return 0;
    int i = best(g, v);
    if (!signalled(v, i)) return 0;
    return LR_GROUP(v->lr[i]) ? GIC_LINE_IRQ : GIC_LINE_FIQ;
}

static uint32_t eisr(const struct gic *g, const struct gic_virt *v)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < g->config.list_registers; i++)
        if (!(v->lr[i] & (LR_STATE | LR_HW)) && (v->lr[i] & LR_EOI)) bits |= 1u << i;
    return bits;
}

static uint32_t elrsr(const struct gic *g, const struct gic_virt *v)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < g->config.list_registers; i++)
        if (!(v->lr[i] & LR_STATE) && ((v->lr[i] & LR_HW) || !(v->lr[i] & LR_EOI))) bits |= 1u << i;
    return bits;
}

uint32_t gic_misr(const struct gic *g, const struct gic_virt *v)
{
    unsigned valid = 0, pending = 0;
    for (unsigned i = 0; i < g->config.list_registers; i++) {
        valid += (v->lr[i] & LR_STATE) != 0;
        pending += (v->lr[i] & LR_STATE) == LR_PENDING;
    }
    uint32_t misr = eisr(g, v) != 0;
    if ((v->hcr & HCR_UIE) && valid <= 1) misr |= 1 << 1;
    if ((v->hcr & HCR_LRENPIE) && (v->hcr & HCR_EOICOUNT)) misr |= 1 << 2;
    if ((v->hcr & HCR_NPIE) && pending == 0) misr |= 1 << 3;
    if ((v->hcr & HCR_VGRP0EIE) && (v->vmcr & VMCR_ENG0)) misr |= 1 << 4;
    if ((v->hcr & HCR_VGRP0DIE) && !(v->vmcr & VMCR_ENG0)) misr |= 1 << 5;
    if ((v->hcr & HCR_VGRP1EIE) && (v->vmcr & VMCR_ENG1)) misr |= 1 << 6;
    if ((v->hcr & HCR_VGRP1DIE) && !(v->vmcr & VMCR_ENG1)) misr |= 1 << 7;
    return misr;
}

bool gic_maintenance(const struct gic *g, const struct gic_virt *v)
{
    return (v->hcr & HCR_EN) && gic_misr(g, v) != 0;
}

bool gic_virtual_trap(const struct gic_virt *v, enum gic_class class, uint32_t encoding)
{
    switch (class) {
    case GIC_GROUP0: return v->hcr & HCR_TALL0;
    case GIC_GROUP1: return v->hcr & HCR_TALL1;
    case GIC_COMMON: return (v->hcr & HCR_TC) || (encoding == ICC(11, 1) && (v->hcr & HCR_TDIR));
    case GIC_SGI: return v->hcr & HCR_TC;
    default: return false;
    }
}

static void put(uint32_t *word, unsigned shift, uint32_t mask, uint64_t value)
{
    *word = (*word & ~(mask << shift)) | ((uint32_t)value & mask) << shift;
}

static void put_bpr(struct gic_virt *v, unsigned group, uint64_t value)
{
    unsigned bpr = value & 7, least = GIC_MIN_BPR + group;
    put(&v->vmcr, group ? VMCR_BPR1 : VMCR_BPR0, 7, bpr < least ? least : bpr);
}

/* A guest's VMCR as it reads: fields hold what their ICV_* registers would. */
static uint32_t vmcr_value(const struct gic_virt *v)
{
    struct gic_virt seen = *v;
    put_bpr(&seen, 0, vmcr_bpr(v, 0));
    put_bpr(&seen, 1, vmcr_bpr(v, 1));
    put(&seen.vmcr, VMCR_PMR, 0xFF, vmcr_pmr(v));
    return (seen.vmcr & (0xFFFC0000u | VMCR_ENG0 | VMCR_ENG1 | VMCR_CBPR | VMCR_EOIM)) | VMCR_FIQEN;
}

bool gic_ich(const struct gic *g, struct gic_virt *v, uint32_t encoding, bool read, uint64_t *value)
{
    unsigned n = encoding & 15; /* of a list register: CRm[0] and op2 */
    if ((encoding & ~15u) == ICH(12, 0)) {
        if (n >= g->config.list_registers) return false;
        if (read) *value = v->lr[n];
        else v->lr[n] = *value & LR_WRITABLE;
        return true;
    }
    switch (encoding) {
    case ICH(8, 0):
    case ICH(9, 0): {
        uint32_t *apr = &v->apr[encoding == ICH(9, 0)];
        if (read) *value = *apr;
        else *apr = (uint32_t)*value;
        return true;
    }
    case ICH(11, 0):
        if (read) *value = v->hcr;
        else v->hcr = *value & HCR_WRITABLE;
        return true;
    case ICH(11, 7):
        if (read) *value = vmcr_value(v);
        else v->vmcr = (uint32_t)*value;
        return true;
    default: break;
    }
    if (!read) return false;
    switch (encoding) {
    case ICH(11, 1): /* VTR: PRIbits, PREbits, A3V, nV4, TDS, ListRegs */
        *value = 4u << 29 | 4u << 26 | 1u << 21 | 1u << 20 | 1u << 19 | (g->config.list_registers - 1);
        return true;
    case ICH(11, 2): *value = gic_misr(g, v); return true;
    case ICH(11, 3): *value = eisr(g, v); return true;
    case ICH(11, 5): *value = elrsr(g, v); return true;
    default: return false;
    }
}

static unsigned pending_for(const struct gic_virt *v, int i, unsigned group)
{
    return i >= 0 && LR_GROUP(v->lr[i]) == group ? LR_VINTID(v->lr[i]) : GIC_NONE;
}

static unsigned acknowledge(const struct gic *g, struct gic_virt *v, unsigned group)
{
    int i = best(g, v);
    if (!signalled(v, i) || LR_GROUP(v->lr[i]) != group) return GIC_NONE;
    uint64_t *lr = &v->lr[i];
    uint32_t intid = LR_VINTID(*lr);
    if (intid >= 1020 && intid < LPI_FIRST) { /* not an interrupt: nothing becomes active */
        *lr &= ~LR_STATE;
        return GIC_NONE;
    }
    v->apr[group] |= 1u << ((LR_PRIORITY(*lr) & group_mask(v, group)) >> 3);
    *lr = (*lr & ~LR_STATE) | (intid < LPI_FIRST ? LR_ACTIVE : 0);
    return intid;
}

static int find_active(const struct gic *g, const struct gic_virt *v, uint32_t intid)
{
    for (unsigned i = 0; i < g->config.list_registers; i++)
        if ((v->lr[i] & LR_ACTIVE) && LR_VINTID(v->lr[i]) == intid) return (int)i;
    return -1;
}

static void count_eoi(struct gic_virt *v)
{
    uint64_t n = ((v->hcr >> HCR_EOICOUNT_SHIFT) + 1) & 31;
    v->hcr = (v->hcr & ~HCR_EOICOUNT) | n << HCR_EOICOUNT_SHIFT;
}

/* The physical interrupt behind a list register is the Normal world's, or is left alone. */
static void deactivate(struct gic *g, unsigned pe, struct gic_virt *v, int i)
{
    uint64_t *lr = &v->lr[i];
    *lr &= ~LR_ACTIVE;
    unsigned intid = LR_PINTID(*lr);
    if ((*lr & LR_HW) && intid >= 16 && gic_implements(g, intid) && gic_group_of(g, pe, intid) == GIC_G1NS)
        gic_deactivate(g, pe, intid);
}

static void end_of_interrupt(struct gic *g, unsigned pe, struct gic_virt *v, unsigned group, uint32_t intid)
{
    if (intid >= 1020 && intid < LPI_FIRST) return;
    unsigned running = running_priority(v);
    if (running == GIC_IDLE) return;
    uint32_t bit = 1u << (running >> 3);
    unsigned of = (v->apr[0] & bit) ? 0 : 1;
    if (of != group) return;
    v->apr[of] &= ~bit;
    if ((v->vmcr & VMCR_EOIM) || intid >= LPI_FIRST) return;
    int i = find_active(g, v, intid);
    if (i < 0) count_eoi(v);
    else if (LR_GROUP(v->lr[i]) == group && (LR_PRIORITY(v->lr[i]) & group_mask(v, group)) == running)
        deactivate(g, pe, v, i);
}

/* ICV_* by the encodings of ICC_*; SGIs of a guest are the hypervisor's to send. */
bool gic_icv(struct gic *g, unsigned pe, struct gic_virt *v, uint32_t encoding, bool read, uint64_t *value)
{
    uint64_t x = *value;
    unsigned group = gic_class(encoding) == GIC_GROUP1;
    switch (encoding) {
    case CCA_SYSREG(3, 0, 4, 6, 0):
        if (read) *value = vmcr_pmr(v);
        else put(&v->vmcr, VMCR_PMR, 0xFF, x & GIC_PRIORITY);
        return true;
    case ICC(8, 0):
    case ICC(12, 0):
        if (!read) return false;
        *value = acknowledge(g, v, group);
        return true;
    case ICC(8, 1):
    case ICC(12, 1):
        if (read) return false;
        end_of_interrupt(g, pe, v, group, x & 0xFFFFFF);
        return true;
    case ICC(8, 2):
    case ICC(12, 2):
        if (!read) return false;
        *value = pending_for(v, best(g, v), group);
        return true;
    case ICC(8, 3):
    case ICC(12, 3):
        if (group && (v->vmcr & VMCR_CBPR)) { /* as in the Non-secure physical interface */
            if (read) *value = vmcr_bpr(v, 0) < 7 ? vmcr_bpr(v, 0) + 1 : 7;
        } else if (read) {
            *value = vmcr_bpr(v, group);
        } else {
            put_bpr(v, group, x);
        }
        return true;
    case ICC(8, 4):
    case ICC(9, 0):
        if (read) *value = v->apr[group];
        else v->apr[group] = (uint32_t)x;
        return true;
    case ICC(11, 1): {
        uint32_t intid = x & 0xFFFFFF;
        if (read) return false;
        if (!(v->vmcr & VMCR_EOIM) || intid >= 1020) return true;
        int i = find_active(g, v, intid);
        if (i < 0) count_eoi(v);
        else deactivate(g, pe, v, i);
        return true;
    }
    case ICC(11, 3):
        if (!read) return false;
        *value = running_priority(v) == GIC_IDLE ? 0xFF : running_priority(v);
        return true;
    case ICC(12, 4):
        if (read) {
            *value = 4u << 8 | 1u << 15 | 1u << 18 | ((v->vmcr & VMCR_EOIM) ? 2u : 0u) |
                     ((v->vmcr & VMCR_CBPR) ? 1u : 0u);
        } else {
            v->vmcr = (v->vmcr & ~(uint32_t)(VMCR_CBPR | VMCR_EOIM)) | ((x & 1) ? VMCR_CBPR : 0) |
                      ((x & 2) ? VMCR_EOIM : 0);
        }
        return true;
    case ICC(12, 6):
    case ICC(12, 7):
        if (read) *value = (v->vmcr >> group) & 1;
        else put(&v->vmcr, group, 1, x);
        return true;
    default: return false;
    }
}
