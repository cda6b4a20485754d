/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A GICv3 (IHI 0069) for a machine with two Security states (GICD_CTLR.DS = 0), affinity routing in both
 * (ARE_S = ARE_NS = 1), no LPIs, 5 bits of priority. Nothing here knows the emulation engine.
 *
 * The distributor and the redistributors are frames of registers (gic_dist.c, gic_redist.c); the CPU interface is
 * ICC_* (gic_cpu.c); the virtual one is ICH_* and ICV_* over a context's own state (gic_virt.c). What they share,
 * the state of each interrupt and the choice of the one to signal, is in gic.c.
 */
#ifndef CCA_GIC_H
#define CCA_GIC_H

#include "cca_types.h"

/* cffi: begin */
enum {
    GIC_MAX_PES = 8,
    GIC_MAX_SPIS = 988,   /* INTIDs 32 to 1019 */
    GIC_MAX_LRS = 16,
    GIC_NONE = 1023,      /* the special INTID "no interrupt" */
};

struct gic_config {
    uint32_t npes;
    uint32_t spis;
    uint32_t list_registers;
    uint32_t virtual_only;         /* no distributor and no CPU interface: only the virtual interfaces of realms */
    uint32_t maintenance;          /* with virtual_only: the host takes their maintenance interrupts */
    uint64_t mpidr[8];             /* of each PE */
    uint64_t dist, redist, stride; /* physical addresses; bytes from one redistributor to the next */
};

/* One interrupt as a debugger wants it; level: the line, pending: the state the GIC derives. */
struct gic_irq {
    uint8_t group;      /* 0: Group 0, 1: Secure Group 1, 2: Non-secure Group 1 */
    uint8_t enabled, pending, active, edge, level;
    uint8_t priority;   /* as the Secure side sees it */
    uint64_t route;     /* GICD_IROUTER of an SPI */
};
/* cffi: end */

enum gic_group { GIC_G0, GIC_G1S, GIC_G1NS };
enum gic_state { GIC_SECURE, GIC_NONSECURE, GIC_EL3 };

enum {
    GIC_WORDS = 32,
    GIC_PRIORITY = 0xF8, /* implemented bits of a priority */
    GIC_IDLE = 0x100,    /* below any priority */
    GIC_MIN_BPR = 2,     /* 7 - priority bits */
    GIC_LINE_IRQ = 1,
    GIC_LINE_FIQ = 2,
};

/* The PPIs that a PE's own sources use (Arm BSA, "PPI assignments"). */
enum { GIC_PPI_MAINTENANCE = 25, GIC_PPI_CNTHP = 26, GIC_PPI_CNTV = 27, GIC_PPI_CNTHV = 28, GIC_PPI_CNTPS = 29,
       GIC_PPI_CNTP = 30 };

/* 32 interrupts, one bit each. */
struct gic_word {
    uint32_t group, modifier, enable, latch, line, active, edge;
    uint32_t nsacr[2]; /* 16 interrupts each, two bits an interrupt */
};

struct gic_cpu {
    uint8_t pmr, bpr0;
    uint8_t bpr1[2];     /* by security state */
    uint8_t enable;      /* one bit per group */
    uint8_t eoimode[3];  /* by security state, and EL3's own */
    uint8_t cbpr[2];
    uint8_t pmhe;
    uint8_t sre_enable;  /* bit 0: ICC_SRE_EL2.Enable, bit 1: ICC_SRE_EL3.Enable */
    uint32_t apr[3];     /* by group; one bit per priority level */
};

struct gic_pe {
    struct gic_word word; /* SGIs and PPIs */
    uint8_t priority[32];
    uint64_t affinity;    /* Aff3 at [39:32], Aff2..Aff0 at [23:0], as in MPIDR_EL1 */
    uint8_t asleep;       /* GICR_WAKER.ProcessorSleep */
    uint8_t held;         /* groups that the root firmware keeps back; one bit per group */
    uint8_t stale;        /* what follows must be found anew */
    uint8_t best_group;
    uint16_t best, best_priority;
};

struct gic {
    struct gic_config config;
    uint8_t enable;       /* GICD_CTLR.EnableGrp*, one bit per group */
    uint8_t e1nwf;
    uint32_t nwords;      /* words that hold implemented INTIDs, that of the PEs included */
    struct gic_word words[32]; /* [0] is unused: each PE has its own */
    uint8_t priority[1024];
    uint64_t router[1024];
    struct gic_pe pe[8];
    struct gic_cpu cpu[8];
    uint64_t sgis;        /* SGIs sent to another PE, ever */
};

/* The virtual CPU interface of one context: what ICH_* hold. */
struct gic_virt {
    uint64_t hcr;
    uint32_t vmcr;
    uint32_t apr[2];      /* by group */
    uint64_t lr[16];
};

/* gic.c */
int gic_init(struct gic *g, const struct gic_config *config);
void gic_handoff(struct gic *g);
void gic_power(struct gic *g, unsigned pe, bool on);
struct gic_word *gic_word(struct gic *g, unsigned pe, unsigned n);
uint8_t *gic_priority(struct gic *g, unsigned pe, unsigned intid);
uint32_t gic_group_bits(const struct gic_word *w, enum gic_group group);
enum gic_group gic_group_of(struct gic *g, unsigned pe, unsigned intid);
uint32_t gic_pending_bits(const struct gic_word *w);
bool gic_implements(const struct gic *g, unsigned intid);
void gic_changed(struct gic *g);
int gic_set_line(struct gic *g, unsigned pe, unsigned intid, bool level);
unsigned gic_best(struct gic *g, unsigned pe);
unsigned gic_running_priority(const struct gic_cpu *cpu);
uint32_t gic_group_mask(const struct gic_cpu *cpu, enum gic_group group);
bool gic_signalled(struct gic *g, unsigned pe);
int gic_lines(struct gic *g, unsigned pe, bool secure);
void gic_activate(struct gic *g, unsigned pe, unsigned intid);
void gic_deactivate(struct gic *g, unsigned pe, unsigned intid);
int gic_inspect(struct gic *g, unsigned pe, unsigned intid, struct gic_irq *out);

/* gic_dist.c, gic_redist.c: false where no frame of the GIC is; reserved registers are RAZ/WI. */
bool gic_banks(struct gic *g, unsigned pe, unsigned first, unsigned end, uint32_t offset, unsigned size, bool secure,
               bool read, uint64_t *value);
void gic_dist_access(struct gic *g, uint32_t offset, unsigned size, bool secure, bool read, uint64_t *value);
void gic_redist_access(struct gic *g, unsigned pe, uint32_t offset, unsigned size, bool secure, bool read,
                       uint64_t *value);
bool gic_access(struct gic *g, uint64_t pa, unsigned size, bool secure, bool read, uint64_t *value);
uint32_t gic_id_register(uint32_t offset);

/* gic_cpu.c: false where the access is UNDEFINED (or traps to EL3, which has nobody to answer). */
enum gic_class { GIC_NOT_OURS, GIC_GROUP0, GIC_GROUP1, GIC_COMMON, GIC_SGI, GIC_SRE, GIC_HYP, GIC_ROOT };
enum gic_class gic_class(uint32_t encoding);
bool gic_icc(struct gic *g, unsigned pe, enum gic_state state, bool fiq_to_el3, uint32_t encoding, bool read,
             uint64_t *value);

/* gic_virt.c */
bool gic_ich(const struct gic *g, struct gic_virt *v, uint32_t encoding, bool read, uint64_t *value);
bool gic_icv(struct gic *g, unsigned pe, struct gic_virt *v, uint32_t encoding, bool read, uint64_t *value);
int gic_virtual_lines(const struct gic *g, const struct gic_virt *v);
uint32_t gic_misr(const struct gic *g, const struct gic_virt *v);
bool gic_maintenance(const struct gic *g, const struct gic_virt *v);
bool gic_virtual_trap(const struct gic_virt *v, enum gic_class class, uint32_t encoding);

#endif
