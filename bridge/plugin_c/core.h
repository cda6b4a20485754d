/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of a machine and of a core; only the plugin's own files include this. */
#ifndef CCA_CORE_H
#define CCA_CORE_H

#include "debug.h"
#include "engine.h"
#include "gic.h"

#include <string.h>

enum {
    CCA_MAX_CORES = 1024,
    CCA_PENDING_PAGES = 64,
    CCA_EVENTS = 256,
    CCA_FILTER_BITS = 1 << 16,
    CCA_PLAIN_BLOCKS = 1 << 14,
    CCA_KNOWN_PAGES = 1 << 12,
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
    struct cca_debug_machine debug;
    struct cca_coverage *coverage; /* NULL: no core is covered */
};

/* Which physical pages a core may hold something of (translations or code); hashed, so it errs on yes. */
struct cca_filter {
    uint64_t words[CCA_FILTER_BITS / 64];
};

/* The smallest naturally aligned power of two that covers what was added to it; none while mask is 0. */
struct cca_span {
    uint64_t base, mask;
};

/* A block that holds nothing that could be watched for, as the addresses and the code of a generation are. */
struct cca_plain {
    uint64_t pc;
    uint32_t bytes, generation;
};

/*
 * A page's translation, kept for when the engine's own TLB, which is small, has lost it; `prot` is all that the
 * privilege level in `tag` may do there. Whatever flushes the engine's TLB takes these with it.
 */
struct cca_known {
    uint64_t tag;                /* VA of the page, PSTATE.PAN << 2, exception level */
    uint64_t pa;
    uint32_t generation;
    uint8_t prot;
};

/* An enabled one; addresses are without their tag. */
struct cca_watchpoint {
    uint64_t control, first, last;
};

struct cca_timer {
    uint64_t ctl, cval;
};

struct cca_pmu {
    uint64_t mark;               /* own_insns up to which the counters stand */
    uint64_t count[32];          /* PMEVCNTR0 to 30, PMCCNTR */
    uint32_t type[32];           /* PMEVTYPER0 to 30, PMCCFILTR */
    uint32_t pmcr, enabled, inten, ovs, userenr, selected, mdcr;
    unsigned el;                 /* since mark */
    bool by_el;                  /* what counts depends on the exception level: each block is looked at */
    bool seen;                   /* the interrupt asserted has ended a run */
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
    bool mmio_second;            /* of a pair, the first half is done: the instruction at mmio_pc comes again for the other */
    uint64_t mmio_pc, mmio_first;

    uint64_t loop_insns;         /* m->insns at the last exception entry */
    unsigned loop_count;         /* exceptions since then without an instruction */
    bool looped;                 /* they are too many: the run ends, or the next one does at once */

    bool trap_wfi;
    struct cca_timer cntp, cntv, cnthp, cnthv, cntps;
    uint64_t cntvoff;
    bool timer_seen[2];          /* asserted when last looked at: only a change ends a run */
    struct cca_pmu pmu;

    uint8_t watch;               /* enum cca_watch */
    uint8_t fp_to[4];            /* by level: where its SIMD&FP instructions trap to, 0: nowhere */
    bool sve_by_engine[4];       /* by level: the engine refuses SVE, which comes first */
    bool zen_el0;                /* CPTR_EL2.ZEN = 1 under E2H and TGE: EL0's SVE traps, EL2's does not */
    struct cca_plain plain[CCA_PLAIN_BLOCKS];
    struct cca_plain goes_on[CCA_PLAIN_BLOCKS]; /* the same of blocks that do not end in WFE or YIELD */
    uint32_t plain_generation;
    uint64_t plain_pages[16];    /* which pages blocks of this generation are in, hashed: it errs on yes */
    uint8_t found;               /* what cca_watch_block stopped for, 0: nothing */
    uint64_t stop_at;            /* while engine_stopping: where */
    uint64_t cnthctl;            /* CNTHCTL_EL2, while the engine is made to refuse an access */
    bool cnthctl_held;
    struct cca_watchpoint watchpoints[16];
    uint8_t nwatchpoints;
    bool watchpoints_stale;      /* a register of them was written */
    bool watchpoint_pass;        /* the access being run has been looked at */
    bool fault_watch;            /* the fill hook refused the access for that alone */
    bool e2h, host;              /* HCR_EL2.E2H; E2H and TGE: EL0 is the host's */
    uint64_t cptr;               /* CPTR_EL2, while E2H: the engine has another format */
    uint64_t hcr_beyond;         /* the bits of HCR_EL2 that the engine does not keep */
    bool virt_touched;
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

    struct cca_known known[CCA_KNOWN_PAGES];
    uint32_t known_generation;
    struct cca_filter tlb_pages, code_pages;
    struct cca_span large[2];    /* by half of the address space: where TLB entries are cut from larger pages */
    bool flush_pending, drop_all_pending;
    uint64_t drop_pages[CCA_PENDING_PAGES], drop_lines[CCA_PENDING_PAGES]; /* which code is to go: see engine_drop_code */
    unsigned ndrop;

    struct cca_debug debug;
    bool fault_debug;            /* the fill hook refused the access for a debugger's watchpoint alone */

    bool covered;
    uint32_t cover_id;

    bool trace;
    struct cca_event events[CCA_EVENTS];
    unsigned nevents;

    uint8_t *fetch_page;         /* host pointer of the page instructions were last read from */
    uint64_t fetch_va, fetch_pa;
    int fetch_el;

    char error[160];
};

enum { INSN_WFE = 0xD503205F, INSN_YIELD = 0xD503203F };

/* core.c */
bool cca_due_each_block(const struct cca_core *c);
bool cca_each_block(const struct cca_core *c); /* ... or for the debugger */

/* debug.c */
enum cca_verdict { VERDICT_POLL, VERDICT_RUN, VERDICT_STOP };
static inline bool cca_debug_looks(const struct cca_core *c)
{
    return c->debug.step || c->debug.resume || c->m->insns >= c->m->debug.near;
}
enum cca_verdict cca_debug_block(struct cca_core *c, uint64_t pc, uint32_t bytes);
void cca_debug_counted(struct cca_core *c);           /* that block is going to run */
bool cca_debug_enter(struct cca_core *c);             /* at the start of each stretch: whether to leave at once */
bool cca_debug_after(struct cca_core *c, enum cca_stop stop); /* a stretch has ended; whether for the debugger alone */
bool cca_debug_watched(struct cca_core *c, uint64_t va, const struct cca_xlate *x);
bool cca_debug_fault(struct cca_core *c);

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
/* Uncounts what of the block did not run; begun: the instruction at pc was, though it has no effect. */
void cca_give_back(struct cca_core *c, uint64_t pc, bool begun);

/* coverage.c */
void cca_cover_cut(struct cca_core *c, uint64_t ran); /* of the block that is under way only so many instructions ran */
void cca_coverage_free(struct cca_machine *m);

/* pmu.c */
void cca_pmu_reset(struct cca_core *c);
/* One access, privilege checked; false where the engine shall raise the trap, or it is none of the PMU's. */
bool cca_pmu_sysreg(struct cca_core *c, uint32_t encoding, unsigned el, bool read, uint64_t value, uint64_t *out);
/* 0, or the level that PMUSERENR_EL0 or MDCR_EL2 traps an access to. */
unsigned cca_pmu_trap(const struct cca_core *c, uint32_t encoding, unsigned el, bool read);
/* From outside the guest, with all rights; false for a register that the PMU does not hold. */
bool cca_pmu_peek(struct cca_core *c, uint32_t encoding, uint64_t *out);
bool cca_pmu_poke(struct cca_core *c, uint32_t encoding, uint64_t value);
bool cca_pmu_fires(struct cca_core *c);               /* asserted, and no run has ended for it */
uint64_t cca_pmu_deadline(struct cca_core *c, uint64_t deadline);
void cca_pmu_block(struct cca_core *c);               /* at a block's start, while what counts depends on the EL */

/* exception.c */
void cca_take(struct cca_core *c, unsigned target_el, uint64_t elr, uint64_t esr, bool has_far, uint64_t far);
void cca_take_undef(struct cca_core *c, uint64_t pc);
void cca_handle_fault(struct cca_core *c);
void cca_finish_mmio(struct cca_core *c, uint64_t value);
void cca_leave(struct cca_core *c, enum cca_reason reason);
void cca_event_add(struct cca_core *c, uint32_t kind, uint32_t el, uint64_t pc, uint64_t a, uint64_t b);
bool cca_read_insn(struct cca_core *c, uint64_t va, int el, uint32_t *insn);
bool cca_decode_at(struct cca_core *c, uint64_t pc, unsigned el, struct cca_ldst *d, uint32_t *insn);

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
void cca_large_page(struct cca_core *c, uint64_t va, uint64_t size); /* an entry was cut from a page of this size */
void cca_flush_large(struct cca_core *c, uint64_t va);               /* TLBI by address, which may be of such a page */
void cca_drop_code_everywhere(struct cca_machine *m, uint64_t pa, uint64_t lines); /* lines: see engine_drop_code */
void cca_drop_all_code_everywhere(struct cca_machine *m);

/* vhe.c */
uint32_t cca_vhe_register(const struct cca_core *c, uint32_t encoding, unsigned el); /* what a name means under E2H */
uint64_t cca_keep(struct cca_core *c, uint32_t encoding, uint64_t value); /* what the engine is to hold for it */
uint64_t cca_kept(struct cca_core *c, uint32_t encoding);                 /* and what its reader sees */

/* mmu.c */
void cca_refresh_mmu(struct cca_core *c);
void cca_forget_pages(struct cca_core *c);              /* all translations */
void cca_forget_page(struct cca_core *c, uint64_t va);  /* of one page of 4 KiB, in all regimes */
/* Only as a TLB hit: NULL where nothing is known of the page, or it may not be accessed so. */
const struct cca_known *cca_known_page(struct cca_core *c, uint64_t va, int el, enum cca_access access);

/* What was read of the code at an address need not be there any more. */
static inline void cca_forget_code(struct cca_core *c)
{
    c->fetch_page = NULL;
    c->plain_generation++;
    memset(c->plain_pages, 0, sizeof c->plain_pages);
}

static inline void cca_plain_add(struct cca_core *c, uint64_t pc)
{
    c->plain_pages[(pc >> 18) % 16] |= 1ull << ((pc >> 12) % 64);
}

static inline void cca_forget_code_of(struct cca_core *c, uint64_t va)
{
    bool plain = (c->plain_pages[(va >> 18) % 16] >> ((va >> 12) % 64)) & 1;
    if (plain || (c->fetch_page && c->fetch_va == (va & ~0xFFFull))) cca_forget_code(c);
}

#endif
