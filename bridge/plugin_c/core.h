/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of a machine and of a core; only the plugin's own files include this. */
#ifndef CCA_CORE_H
#define CCA_CORE_H

#include "engine.h"
#include "gic.h"

enum {
    CCA_MAX_CORES = 1024,
    CCA_PENDING_PAGES = 64,
    CCA_EVENTS = 256,
    CCA_FILTER_BITS = 1 << 16,
};

#define CCA_NEVER UINT64_MAX

/* A PE's contexts whose timers drive its redistributor's lines, and the m->insns at which the next line rises. */
struct cca_pe {
    struct cca_core *normal, *secure;
    uint64_t edge;
};

struct cca_machine {
    struct cca_mem mem;
    uint64_t insns;              /* retired instructions: the machine's only clock */
    uint64_t cntfrq, rate;       /* ticks a second, instructions a second */
    uint64_t limit;              /* stop when insns reaches it */
    uint64_t turn_end;           /* the running PE's turn is over when insns reaches it */
    struct cca_core *cores[CCA_MAX_CORES];
    size_t ncores;
    struct gic *gic;             /* NULL: none */
    struct cca_pe pes[GIC_MAX_PES];
};

/* Which physical pages a core may hold something of (translations or code); hashed, so it errs on yes. */
struct cca_filter {
    uint64_t words[CCA_FILTER_BITS / 64];
};

struct cca_timer {
    uint64_t ctl, cval;
};

struct cca_core {
    struct cca_machine *m;       /* first what each block touches */
    uint64_t deadline;           /* m->insns from which the block hook looks closer: `due`, or 0 while polling */
    uint64_t block_pc;           /* the block being run, for time within a block and for giving time back */
    uint64_t own_insns;
    uint32_t block_insns;

    bool stopped;                /* the block hook stopped the engine */
    uint64_t due;                /* m->insns at which it does */
    uint64_t slice_end;
    struct cca_engine *e;
    struct cca_core_config cfg;
    struct cca_exit exit;
    struct cca_mmu mmu;
    bool mmu_dirty;              /* a translation register was written since mmu was filled */

    bool fault_pending;          /* set by the fill hook */
    bool fault_mmio;             /* translated, but no RAM there */
    struct cca_fault fault;
    struct cca_xlate fault_xlate;
    uint64_t fault_va;
    enum cca_access fault_access;

    struct cca_ldst mmio;        /* the access that CCA_EXIT_MMIO is about */

    uint64_t loop_insns;         /* m->insns at the last exception entry */
    unsigned loop_count;         /* exceptions since then without an instruction */
    bool looped;                 /* they are too many: the run ends, or the next one does at once */

    bool trap_wfi;
    struct cca_timer cntp, cntv, cnthp, cnthv, cntps;
    uint64_t cntvoff;
    bool timer_seen[2];          /* asserted when last looked at: only a change ends a run */

    struct gic_virt virt;        /* ICH_*: of this context's guests, or of a realm itself */
    bool irq_stale;              /* what is signalled may have changed since it was last looked at */
    bool polling;                /* something is signalled that could not be taken */
    uint32_t polled_pstate;      /* ... with these masks, at this level */
    unsigned vector;             /* of the interrupt being taken, 0 for synchronous exceptions */
    bool solo;                   /* no other context can run: WFI moves time on by itself */
    bool fiq_to_el1;             /* Secure: SCR_EL3.FIQ is clear */
    bool serror, vserror;        /* pending; the virtual one is HCR_EL2.VSE */
    uint32_t serror_iss;

    uint64_t id[128];            /* op0=3 op1=0 CRn=0: index CRm * 8 + op2 */
    uint64_t rng;

    struct cca_filter tlb_pages, code_pages;
    bool flush_pending, drop_all_pending;
    uint64_t drop_pages[CCA_PENDING_PAGES];
    unsigned ndrop;

    bool trace;
    struct cca_event events[CCA_EVENTS];
    unsigned nevents;

    uint8_t *fetch_page;         /* host pointer of the page instructions were last read from */
    uint64_t fetch_va;
    int fetch_el;

    char error[160];
};

/* time.c */
uint64_t cca_now(struct cca_core *c);                 /* instructions, exact within the running block */
uint64_t cca_now_ticks(struct cca_core *c);
uint64_t cca_ticks_at(const struct cca_machine *m, uint64_t insns);
void cca_update_deadline(struct cca_core *c);
bool cca_timer_fires(struct cca_core *c);
bool cca_timer_sysreg(struct cca_core *c, uint32_t encoding, bool read, uint64_t value, uint64_t *out);
void cca_update_lines(struct cca_machine *m, unsigned pe, uint64_t insns); /* timers to PPIs, as of `insns` */
void cca_drop_lines(struct cca_core *c);              /* a context goes, and its timers with it */
bool cca_skip_to_timer(struct cca_core *c);           /* WFI: advance time to the next deadline */
void cca_give_back(struct cca_core *c, uint64_t pc);  /* uncount what of the block did not run */

/* exception.c */
void cca_take(struct cca_core *c, unsigned target_el, uint64_t elr, uint64_t esr, bool has_far, uint64_t far);
void cca_take_undef(struct cca_core *c, uint64_t pc);
void cca_handle_fault(struct cca_core *c);
void cca_finish_mmio(struct cca_core *c, uint64_t value);
void cca_leave(struct cca_core *c, enum cca_reason reason);
void cca_event_add(struct cca_core *c, uint32_t kind, uint32_t el, uint64_t pc, uint64_t a, uint64_t b);
bool cca_read_insn(struct cca_core *c, uint64_t va, int el, uint32_t *insn);

/* interrupt.c */
bool cca_poll(struct cca_core *c);
void cca_take_interrupts(struct cca_core *c);
void cca_irq_changed(struct cca_core *c);
void cca_irq_enter(struct cca_core *c);
void cca_hcr_written(struct cca_core *c, uint64_t value);
bool cca_sleep(struct cca_core *c);
bool cca_gic_mmio(struct cca_core *c);
bool cca_gic_traps(struct cca_core *c, unsigned el, uint32_t encoding, bool read);
/* Answers MRS (read) and MSR of ICC_*, ICH_* and ISR_EL1; false where the engine is to raise the exception. */
bool cca_gic_sysreg(struct cca_core *c, uint32_t encoding, unsigned el, bool read, uint64_t value, uint64_t *out);

/* maintenance.c */
void cca_filter_add(struct cca_filter *f, uint64_t pa);
bool cca_filter_has(const struct cca_filter *f, uint64_t pa);
void cca_flush_now(struct cca_core *c);
void cca_apply_pending(struct cca_core *c);
void cca_flush_siblings(struct cca_core *c);
void cca_drop_code_everywhere(struct cca_machine *m, uint64_t pa);
void cca_drop_all_code_everywhere(struct cca_machine *m);

/* mmu.c */
void cca_refresh_mmu(struct cca_core *c);

#endif
