/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A GICv3 for one vCPU: SGIs, PPIs and 32 SPIs, one Security state, affinity routing, no LPIs (IHI 0069 §12).
 * Its CPU interface is the hardware's, fed through the list registers (LRs) of REC_ENTER. */
#include "linux.h"

enum {
    GICD_CTLR = 0x0000,
    GICD_TYPER = 0x0004,
    GICD_IIDR = 0x0008,
    IGROUPR = 0x0080,
    ISENABLER = 0x0100,
    ICENABLER = 0x0180,
    ISPENDR = 0x0200,
    ICPENDR = 0x0280,
    ISACTIVER = 0x0300,
    ICACTIVER = 0x0380,
    IPRIORITYR = 0x0400,
    ITARGETSR = 0x0800,
    ICFGR = 0x0c00,
    IGRPMODR = 0x0d00,
    IROUTER = 0x6000,
    PIDR2 = 0xffe8,
    GICR_IIDR = 0x0004,
    GICR_TYPER = 0x0008,
    SGI_BASE = 0x10000,
};

#define INTIDS 64
#define CTLR_GROUPS 0x3UL /* EnableGrp0, EnableGrp1 */
#define CTLR_FIXED 0x50UL /* ARE, DS */
#define CTLR_GROUP1 0x2UL
#define TYPER (1UL << 25 | 1UL << 24 | 9UL << 19 | (INTIDS / 32 - 1)) /* No1N, A3V, 10 bits of INTID */
#define IIDR (0x43UL << 24 | 0x43b)
#define ARCH_GICV3 0x3b
#define GICR_LAST 0x10
#define AFFINITIES 0xff00ffffffUL
#define PRIORITY_MASK 0xf8
#define SGI_AFFINITY 0xfff0ff00ff0000UL /* Aff3, RS, Aff2, Aff1 of ICC_SGI1R_EL1 */
#define SGI_IRM (1UL << 40)         /* all but self */

#define LR_EOI (1UL << 41)
#define LR_PENDING (1UL << 62)
#define LR_ACTIVE (1UL << 63)

#define MAX_LRS 16
#define BIT(n) (1UL << (n))

/* Sets of INTIDs, one bit each.  latch: pending by an edge, an SGI or a write; line: levels. */
static uint64_t enabled, group1, latch, line, active, edge, routed;
static uint64_t ctlr, route[INTIDS];
static uint8_t priority[INTIDS];

static unsigned lr_count;
static unsigned listed_count, listed[MAX_LRS]; /* INTIDs in the LRs of the last entry */

void vgic_init(unsigned lrs)
{
    lr_count = lrs < MAX_LRS ? lrs : MAX_LRS;
    edge = 0xffff;
    routed = ~0UL;
}

void vgic_line(unsigned intid, int level)
{
    uint64_t bit = BIT(intid);
    if (level && !(line & bit))
        latch |= edge & bit;
    line = level ? line | bit : line & ~bit;
}

int vgic_sysreg(uint64_t esr, uint64_t value)
{
    /* op0, op2, op1, CRn, CRm and the direction, without Rt: ICC_SGI1R, ICC_ASGI1R, ICC_SGI0R, all EL1. */
    uint64_t access = esr & 0x3ffc1f;
    int sgi1 = access == (3UL << 20 | 5UL << 17 | 12UL << 10 | 11UL << 1);
    if (!sgi1 && access != (3UL << 20 | 6UL << 17 | 12UL << 10 | 11UL << 1) &&
        access != (3UL << 20 | 7UL << 17 | 12UL << 10 | 11UL << 1))
        return 0;
    uint64_t bit = BIT(value >> 24 & 0xf);
    if (!(value & SGI_IRM) && !(value & SGI_AFFINITY) && value & 1 && (sgi1 || !(group1 & bit)))
        latch |= bit;
    return 1;
}

/* ---- registers ---- */

static uint64_t bits_read(uint64_t reg)
{
    switch (reg) {
    case IGROUPR:
        return group1;
    case ISENABLER:
    case ICENABLER:
        return enabled;
    case ISPENDR:
    case ICPENDR:
        return latch | (line & ~edge);
    default:
        return active;
    }
}

static void bits_write(uint64_t reg, uint64_t bits, uint64_t word)
{
    switch (reg) {
    case IGROUPR:
        group1 = (group1 & ~word) | bits;
        break;
    case ISENABLER:
        enabled |= bits;
        break;
    case ICENABLER:
        enabled &= ~bits;
        break;
    case ISPENDR:
        latch |= bits;
        break;
    case ICPENDR:
        latch &= ~bits;
        break;
    case ISACTIVER:
        active |= bits;
        break;
    default:
        active &= ~bits;
    }
}

/* The registers of 32 bits that private interrupts (word 0) and SPIs (word 1) have alike. */
static uint32_t bank_read(uint64_t offset, unsigned word)
{
    uint32_t value = 0;
    if (offset >= IGROUPR && offset < IPRIORITYR) {
        if ((offset & 0x7f) == 4 * word)
            value = (uint32_t)(bits_read(offset & ~0x7fUL) >> 32 * word);
    } else if (offset >= IPRIORITYR && offset < ITARGETSR) {
        uint64_t at = offset - IPRIORITYR;
        if (at / 32 == word)
            memcpy(&value, &priority[at], sizeof value);
    } else if (offset >= ICFGR && offset < IGRPMODR) {
        uint64_t first = (offset - ICFGR) * 4;
        for (unsigned i = 0; first / 32 == word && i < 16; i++)
            value |= (uint32_t)(edge >> (first + i) & 1) << (2 * i + 1);
    }
    return value;
}

static void configure(uint64_t first, uint32_t value)
{
    for (unsigned i = 0; i < 16; i++)
        edge = value >> (2 * i + 1) & 1 ? edge | BIT(first + i) : edge & ~BIT(first + i);
}

static void bank_write(uint64_t offset, unsigned word, uint32_t value)
{
    if (offset >= IGROUPR && offset < IPRIORITYR) {
        if ((offset & 0x7f) == 4 * word)
            bits_write(offset & ~0x7fUL, (uint64_t)value << 32 * word, 0xffffffffUL << 32 * word);
    } else if (offset >= IPRIORITYR && offset < ITARGETSR) {
        for (uint64_t at = offset - IPRIORITYR; at / 32 == word && at < offset - IPRIORITYR + 4; at++, value >>= 8)
            priority[at] = value & PRIORITY_MASK;
    } else if (offset >= ICFGR && offset < IGRPMODR) {
        uint64_t first = (offset - ICFGR) * 4;
        if (first / 32 == word && first >= 16) /* SGIs are edges */
            configure(first, value);
    }
}

static uint32_t gicd_load(uint64_t offset)
{
    switch (offset) {
    case GICD_CTLR:
        return (uint32_t)(ctlr | CTLR_FIXED);
    case GICD_TYPER:
        return TYPER;
    case GICD_IIDR:
        return IIDR;
    case PIDR2:
        return ARCH_GICV3;
    default:
        break;
    }
    if (offset >= IROUTER + 32 * 8 && offset < IROUTER + INTIDS * 8)
        return (uint32_t)(route[(offset - IROUTER) / 8] >> 8 * (offset & 4));
    return bank_read(offset, 1);
}

static void gicd_store(uint64_t offset, uint32_t value)
{
    if (offset == GICD_CTLR) {
        ctlr = value & CTLR_GROUPS;
    } else if (offset >= IROUTER + 32 * 8 && offset < IROUTER + INTIDS * 8) {
        uint64_t intid = (offset - IROUTER) / 8, shift = 8 * (offset & 4);
        route[intid] = ((route[intid] & ~(0xffffffffUL << shift)) | (uint64_t)value << shift) & AFFINITIES;
        routed = route[intid] ? routed & ~BIT(intid) : routed | BIT(intid);
    } else {
        bank_write(offset, 1, value);
    }
}

static uint32_t gicr_load(uint64_t offset)
{
    switch (offset) {
    case GICR_IIDR:
        return IIDR;
    case GICR_TYPER:
        return GICR_LAST;
    case PIDR2:
        return ARCH_GICV3;
    default:
        return offset >= SGI_BASE ? bank_read(offset - SGI_BASE, 0) : 0;
    }
}

static void gicr_store(uint64_t offset, uint32_t value)
{
    if (offset >= SGI_BASE)
        bank_write(offset - SGI_BASE, 0, value);
}

/* Accesses of 64 bits are two of 32; of narrow ones, only those of one byte to priorities write. */
static uint64_t frame_read(uint32_t (*load)(uint64_t), uint64_t offset, unsigned size)
{
    if (size == 8)
        return load(offset) | (uint64_t)load(offset + 4) << 32;
    uint32_t value = load(offset & ~3UL) >> 8 * (offset & 3);
    return size == 4 ? value : value & (BIT(8 * size) - 1);
}

static void frame_write(void (*store)(uint64_t, uint32_t), uint64_t offset, unsigned size, uint64_t value)
{
    if (size < 4)
        return;
    store(offset, (uint32_t)value);
    if (size == 8)
        store(offset + 4, (uint32_t)(value >> 32));
}

/* A byte's worth of priority; false when it is none of `word`. */
static int narrow(uint64_t offset, unsigned word, unsigned size, uint64_t value)
{
    if (size != 1 || offset < IPRIORITYR || (offset - IPRIORITYR) / 32 != word)
        return 0;
    priority[offset - IPRIORITYR] = value & PRIORITY_MASK;
    return 1;
}

uint64_t gicd_read(uint64_t offset, unsigned size)
{
    return frame_read(gicd_load, offset, size);
}

void gicd_write(uint64_t offset, unsigned size, uint64_t value)
{
    if (!narrow(offset, 1, size, value))
        frame_write(gicd_store, offset, size, value);
}

uint64_t gicr_read(uint64_t offset, unsigned size)
{
    return frame_read(gicr_load, offset, size);
}

void gicr_write(uint64_t offset, unsigned size, uint64_t value)
{
    if (offset < SGI_BASE || !narrow(offset - SGI_BASE, 0, size, value))
        frame_write(gicr_store, offset, size, value);
}

/* ---- list registers ---- */

/* What the distributor may send now.  A level that is active is looked at again once it is not. */
static uint64_t ready(void)
{
    uint64_t set = (latch | (line & ~edge)) & enabled & routed & ~(active & ~edge);
    if (!(ctlr & CTLR_GROUP1))
        set &= ~group1;
    if (!(ctlr & ~CTLR_GROUP1))
        set &= group1;
    return set;
}

/* Of a set that is not empty: active ones first, for their end must find them; then by priority, then by number. */
static unsigned first_of(uint64_t set)
{
    unsigned best = 0, rank = ~0U;
    for (; set; set &= set - 1) {
        unsigned intid = (unsigned)__builtin_ctzl(set);
        unsigned own = priority[intid] | (active & BIT(intid) ? 0 : 0x100);
        if (own < rank) {
            best = intid;
            rank = own;
        }
    }
    return best;
}

static uint64_t list_register(unsigned intid, int pending)
{
    uint64_t bit = BIT(intid);
    uint64_t lr = intid | (uint64_t)priority[intid] << 48;
    if (group1 & bit)
        lr |= GICV3_LR_GROUP;
    if (active & bit)
        lr |= LR_ACTIVE;
    if (pending)
        lr |= LR_PENDING;
    if (line & ~edge & bit)
        lr |= LR_EOI; /* the level is looked at again when the realm is done with it */
    return lr;
}

void vgic_fill(struct rmi_rec_enter *enter)
{
    uint64_t pending = ready(), left = pending | active, chosen = 0;
    enter->gicv3_hcr = 0;
    for (listed_count = 0; left && listed_count < lr_count; listed_count++) {
        unsigned intid = first_of(left);
        enter->gicv3_lrs[listed_count] = list_register(intid, (pending & BIT(intid)) != 0);
        listed[listed_count] = intid;
        chosen |= BIT(intid);
        left &= ~BIT(intid);
    }
    latch &= ~(pending & chosen & edge);
    for (unsigned i = listed_count; i < lr_count; i++)
        enter->gicv3_lrs[i] = 0;
    /* What makes the realm come out once there is room for the others; never what would be true at once. */
    if (left & pending)
        enter->gicv3_hcr |= (listed_count > 1 ? GICV3_HCR_UIE : 0) | (pending & chosen ? GICV3_HCR_NPIE : 0);
    if (left & active)
        enter->gicv3_hcr |= GICV3_HCR_LRENPIE;
}

static void timer(unsigned intid, uint64_t ctl)
{
    vgic_line(intid, (ctl & 7) == 5); /* ENABLE, ISTATUS, not IMASK */
}

void vgic_fold(const struct rmi_rec_run *run)
{
    /* An exit whose realm did not run reports zeros, RES1 of ICH_VMCR_EL2 among them (rmm-abi.md §4.9). */
    int ran = run->exit.gicv3_vmcr != 0;
    const uint64_t *lrs = ran ? run->exit.gicv3_lrs : run->enter.gicv3_lrs;
    uint64_t in_lrs = 0;
    for (unsigned i = 0; i < listed_count; i++) {
        uint64_t bit = BIT(listed[i]);
        in_lrs |= bit;
        active = lrs[i] & LR_ACTIVE ? active | bit : active & ~bit;
        if (lrs[i] & LR_PENDING)
            latch |= edge & bit;
        else
            latch &= edge | ~bit; /* a level that was made pending by a write has been taken */
    }
    if (!ran)
        return;
    /* Interrupts that the realm ended and that were in no LR, the highest priority first. */
    uint64_t count = (run->exit.gicv3_hcr & GICV3_HCR_EOICOUNT_MASK) >> GICV3_HCR_EOICOUNT_SHIFT;
    for (uint64_t others = active & ~in_lrs; count && others; count--) {
        uint64_t bit = BIT(first_of(others));
        others &= ~bit;
        active &= ~bit;
    }
    timer(VGIC_VTIMER, run->exit.cntv_ctl);
    timer(VGIC_PTIMER, run->exit.cntp_ctl);
}
