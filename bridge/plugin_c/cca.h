/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plugin's API: a machine (memory, GPT, time) and its cores (one execution context each).
 *
 * Python sees what stands between the cffi marks; build_plugin.py reads it from this file, so that nothing is
 * declared twice. The core knows the emulation engine only through engine.h.
 */
#ifndef CCA_H
#define CCA_H

#include "gic.h"

/* cffi: begin */
enum cca_reason {
    CCA_EXIT_NONE = 0,
    CCA_EXIT_SMC = 1,         /* x, imm; PC is after the SMC */
    CCA_EXIT_HVC = 2,         /* from EL1 of a realm; PC is after the HVC */
    CCA_EXIT_S2_FAULT = 3,    /* esr, far, hpfar as EL2 sees them, value */
    CCA_EXIT_MMIO = 4,        /* pa, size, is_write, value: answer by cca_mmio_done or cca_external_abort */
    CCA_EXIT_WFI = 5,         /* nothing pending and no timer armed: PC is after the WFI */
    CCA_EXIT_WFX_TRAP = 6,    /* trapped WFI: PC is at the instruction, esr filled */
    CCA_EXIT_SLICE = 7,       /* the slice given to cca_run is used up */
    CCA_EXIT_TIMER = 8,       /* an EL1 timer or the PMU asserts its interrupt, and the context takes physical ones */
    CCA_EXIT_SYSREG = 9,      /* an access trapped to EL2: esr, value; PC at the instruction */
    CCA_EXIT_SEMIHOST = 10,   /* HLT #0xF000: x[0], x[1]; PC is at the HLT */
    CCA_EXIT_AARCH32 = 11,    /* an SPSR that would return to AArch32: esr holds the SPSR */
    CCA_EXIT_LOOP = 12,       /* exceptions nest without an instruction between them */
    CCA_EXIT_GPC = 13,        /* a GPC exception to EL3: the GPT has no valid entry for pa */
    CCA_EXIT_MMIO_FORM = 14,  /* a device access by SIMD, an atomic or an exclusive: insn, pa, size, is_write */
    CCA_EXIT_ENGINE = 15,     /* the engine reported an error of its own: engine_error */
    CCA_EXIT_LIMIT = 16,      /* the machine's instruction limit is reached */
    CCA_EXIT_UNDEF_EL2 = 17,  /* trapped SVE/SME/FP access from a realm (esr) */
    CCA_EXIT_ABORTED = 18,    /* the engine gave up on an instruction: this core can only be read from now on */
    CCA_EXIT_FIQ = 19,        /* a Secure interrupt is for EL3: Group 0, or Secure Group 1 in another state */
    CCA_EXIT_IRQ = 20,        /* a Normal-world interrupt ends a realm's run, or wants EL3 while Secure code runs */
    CCA_EXIT_DEBUG = 21,      /* the debugger's: debug says why, far at which address */
};

enum cca_debug_reason {
    CCA_DEBUG_ASKED = 1,      /* cca_debug_break, before the first instruction of any context that runs */
    CCA_DEBUG_BREAK = 2,
    CCA_DEBUG_STEP = 4,
    CCA_DEBUG_COUNT = 8,      /* cca_debug_at */
    CCA_DEBUG_WATCH = 16,     /* the access at PC has not been made; far, pa, ipa, is_write */
    CCA_DEBUG_GPF = 32,       /* a granule protection fault at pa, va far, has just been taken */
};

enum cca_watch_space { CCA_WATCH_VA = 0, CCA_WATCH_IPA = 1, CCA_WATCH_PA = 2 };

enum cca_event_kind {
    CCA_EVENT_UNKNOWN_SYSREG = 1, /* a = encoding op0:op1:CRn:CRm:op2 (16 bits), b = 1 for a read */
    CCA_EVENT_EXCEPTION = 2,      /* a = esr, b = far; el = target */
    CCA_EVENT_GPF = 3,            /* a = pa, b = va */
    CCA_EVENT_INTERRUPT = 4,      /* a = vector: 0x80 IRQ, 0x100 FIQ, 0x180 SError; el = target */
};

struct cca_event {
    uint32_t kind;
    uint32_t el;
    uint64_t pc, a, b, insns;
};

struct cca_exit {
    uint32_t reason;
    uint32_t el;              /* exception level it came from */
    uint64_t pc;
    uint64_t esr, far, hpfar;
    uint64_t ipa, pa;
    uint64_t value;
    uint64_t x[18];           /* X0..X17 at SMC, HVC, SEMIHOST */
    uint32_t insn;
    uint32_t size;            /* bytes, of an MMIO access */
    uint32_t is_write;
    uint32_t gpf;             /* the stage-2 exit is a granule protection fault */
    int32_t engine_error;
    uint32_t pas;             /* of an MMIO access */
    uint32_t debug;           /* enum cca_debug_reason */
    uint32_t watch;           /* the id of the watchpoint */
};

enum cca_pmu_offer {
    CCA_PMU_ABSENT = 0,       /* its registers are undefined */
    CCA_PMU_TRAPPED = 1,      /* EL2 answers for them: RAZ/WI */
    CCA_PMU_PRESENT = 2,
};

struct cca_core_config {
    uint32_t pas;             /* 8 secure, 9 non-secure, 11 realm */
    uint32_t el;              /* the level it starts at: 2 or 1 */
    uint32_t stage2;          /* stage-2 faults, HVC and trapped registers of EL1 leave by an exit */
    uint32_t pa_bits;
    uint32_t hafdbs;
    uint32_t semihosting;
    uint32_t tcg_megabytes;
    uint64_t mpidr;
    uint64_t seed;
    uint64_t vttbr, vtcr, hcr;
    uint32_t irq_exits;       /* asserted timers end a run (CCA_EXIT_TIMER) */
    uint32_t pmu;             /* enum cca_pmu_offer */
    uint32_t pmu_counters;    /* event counters, 0 to 31 */
    uint32_t pe;              /* index of its PE: 0 to 7 */
};

typedef struct cca_machine cca_machine;
typedef struct cca_core cca_core;

cca_machine *cca_machine_new(uint64_t cntfrq, uint64_t rate);
void cca_machine_free(cca_machine *m);
int cca_machine_add_ram(cca_machine *m, uint64_t pa, uint64_t size, void *host);
void cca_machine_set_gpt(cca_machine *m, uint64_t base, uint32_t pps_bits, uint32_t l0_bits, uint32_t pgs_bits);
/* The GPI of one granule changed: no translation of it may survive, in any core. */
void cca_granule_changed(cca_machine *m, uint64_t pa);
/* Memory was written behind the cores' back: code translated from it must go. */
void cca_memory_written(cca_machine *m, uint64_t pa, uint64_t size);
/* Wipes RAM without bringing untouched pages into being needlessly; -1 when it is not RAM. */
int cca_memory_zero(cca_machine *m, uint64_t pa, uint64_t size);
uint64_t cca_insns(cca_machine *m);
/* Changes with each exit (other than SLICE) and each exception or interrupt taken, in any core. */
uint64_t cca_activity(cca_machine *m);
uint64_t cca_ticks(cca_machine *m);
/* All wait: time goes on to this instruction count, if that is ahead. */
void cca_skip_to(cca_machine *m, uint64_t insns);
void cca_set_limit(cca_machine *m, uint64_t insns);
/* Any run ends with CCA_EXIT_SLICE at this instruction count, whatever its own slice. */
void cca_set_turn(cca_machine *m, uint64_t insns);
/* 0 when `pas` may access all of [pa, pa + size) and RAM backs it, 1 granule protection fault, 2 no RAM. */
int cca_check(cca_machine *m, uint64_t pa, uint64_t size, uint32_t pas, uint64_t *bad);

/* Copies as the world `pas` may: 0, or as cca_check, with nothing copied. Writes drop translated code. */
int cca_read(cca_machine *m, uint64_t pa, uint64_t size, uint32_t pas, void *out, uint64_t *bad);
int cca_write(cca_machine *m, uint64_t pa, uint64_t size, uint32_t pas, const void *data, uint64_t *bad);

cca_core *cca_core_new(cca_machine *m, const struct cca_core_config *config);
void cca_core_free(cca_core *c);
struct cca_exit *cca_core_exit(cca_core *c);
const char *cca_core_error(cca_core *c);
int cca_run(cca_core *c, uint64_t slice);
int cca_resume4(cca_core *c, uint64_t slice, uint64_t x0, uint64_t x1, uint64_t x2, uint64_t x3);
int cca_resume5(cca_core *c, uint64_t slice, uint64_t x0, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4);
void cca_get_x(cca_core *c, uint32_t first, uint32_t count, uint64_t *out);
void cca_set_x(cca_core *c, uint32_t first, uint32_t count, const uint64_t *values);
uint64_t cca_get_pc(cca_core *c);
void cca_set_pc(cca_core *c, uint64_t pc);
uint64_t cca_get_sp(cca_core *c);
void cca_set_sp(cca_core *c, uint64_t sp);
uint32_t cca_get_pstate(cca_core *c);
void cca_set_pstate(cca_core *c, uint32_t pstate);
uint64_t cca_get_sysreg(cca_core *c, uint32_t encoding);
int cca_set_sysreg(cca_core *c, uint32_t encoding, uint64_t value);
void cca_set_id(cca_core *c, uint32_t encoding, uint64_t value);
uint64_t cca_engine_id(cca_core *c, uint32_t encoding);
/* Whether WFI leaves by CCA_EXIT_WFX_TRAP. WFE never waits here, so there is nothing of it to trap. */
void cca_trap_wfi(cca_core *c, int on);
void cca_mmio_done(cca_core *c, uint64_t value);
void cca_external_abort(cca_core *c);
void cca_inject(cca_core *c, uint32_t el, uint64_t esr, int has_far, uint64_t far);
void cca_flush(cca_core *c);
/* Translates as the core would now; 1 and *pa, or 0 and the FSC in *fsc, the failing stage in *stage. */
int cca_translate_va(cca_core *c, uint64_t va, uint32_t access, uint64_t *pa, uint32_t *pas, uint32_t *fsc,
                     uint32_t *stage);
/* CNTP and CNTV: out[0] CTL (ISTATUS included) and out[1] CVAL of CNTP, out[2] and out[3] of CNTV. */
void cca_get_timers(cca_core *c, uint64_t *out);
/* Timers that assert their interrupt (ENABLE, ISTATUS, not IMASK): bit 0 CNTP, bit 1 CNTV. */
int cca_timers_asserted(cca_core *c);
/* RmiPmuOverflowStatus: an enabled counter has overflowed and its interrupt is enabled (rmm-abi.md 7.4). */
int cca_pmu_overflow(cca_core *c);

/* A GICv3; before any core. -1: a configuration that cannot be, or no memory. */
int cca_machine_add_gic(cca_machine *m, const struct gic_config *config);
/* What EL3 firmware leaves: all interrupts Non-secure Group 1, the Secure groups enabled. */
void cca_gic_handoff(cca_machine *m);
/* A PE comes up as EL3 firmware leaves its CPU interface, or goes down (GICR_WAKER); -1: no such PE. */
int cca_gic_power(cca_machine *m, uint32_t pe, int on);
void cca_gic_reset(cca_machine *m);
/* Secure interrupts of a PE stay pending and unsignalled, as a secure partition manager queues them; -1: no such PE. */
int cca_gic_hold_secure(cca_machine *m, uint32_t pe, int on);
/* A device's wire to an SPI; to a PPI of one PE. -1 where there is none such. */
int cca_gic_set_line(cca_machine *m, uint32_t intid, int level);
int cca_gic_set_ppi(cca_machine *m, uint32_t pe, uint32_t intid, int level);
/* The registers as EL3 or a debugger reaches them: a frame's by PA, ICC_* of a PE by encoding. -1: no such. */
int cca_gic_access(cca_machine *m, uint64_t pa, uint32_t size, int secure, int is_write, uint64_t *value);
int cca_gic_root(cca_machine *m, uint32_t pe, uint32_t encoding, int is_write, uint64_t *value);
int cca_gic_inspect(cca_machine *m, uint32_t pe, uint32_t intid, struct gic_irq *out);
/* A context's virtual interface. Out: ICH_HCR (with EOIcount), MISR, VMCR, LR0..15, AP0R0, AP1R0: 21 values. */
void cca_gic_load(cca_core *c, uint64_t hcr, uint32_t count, const uint64_t *lrs);
void cca_gic_save(cca_core *c, uint64_t *out);
/* Whether its own ICC_* accesses may have changed that since the last call. */
int cca_gic_touched(cca_core *c);
/* What is signalled to a context, masked or not, as of now: bit 0 IRQ, bit 1 FIQ, bit 2 SError. */
int cca_irq_lines(cca_core *c);
/* The instruction count at which a timer next changes that; UINT64_MAX for never. */
uint64_t cca_wake_at(cca_core *c);
/* Whether WFI moves time on to the next timer by itself (as it does unless told otherwise), or leaves. */
void cca_set_solo(cca_core *c, int on);
/* The PE that a realm's or the Secure context is on from now on; -1: no such PE, or a context bound to its own. */
int cca_set_pe(cca_core *c, uint32_t pe);
/* SCR_EL3.FIQ = 0 while this Secure context runs: FIQs are its own. */
void cca_set_fiq_to_el1(cca_core *c, int on);
/* A physical SError with this ISS. */
void cca_pend_serror(cca_core *c, uint32_t iss);
uint32_t cca_events(cca_core *c, struct cca_event *out, uint32_t max);
void cca_trace(cca_core *c, int on);
uint64_t cca_core_insns(cca_core *c);
/* Changes when a core has taken one exception another CCA_REPEATS times in a row; its slice is over then. */
#define CCA_REPEATS 100000
uint64_t cca_repeating(cca_machine *m);
/* The last synchronous exception: how often it was taken with no other in between, ELR, ESR, FAR. */
void cca_repeats(cca_core *c, uint64_t *out);

/*
 * A debugger's stops, by CCA_EXIT_DEBUG. cca_run then goes on as if there had been none: counts, deadlines and
 * interrupts are those of a run without. None of these may be called while a context runs.
 */
int cca_debug_point(cca_core *c, uint64_t va, int on); /* -1: too many, or the engine refuses */
void cca_debug_step(cca_core *c, int on);              /* one instruction, or to where an exception leads */
/* Accesses (1 loads, 2 stores) of cores of the PASs in `worlds` (bits) to [first, last]; -1: too many. */
int cca_debug_watch(cca_machine *m, uint32_t id, uint32_t space, uint64_t first, uint64_t last, uint32_t access,
                    uint32_t worlds);
void cca_debug_unwatch(cca_machine *m, uint32_t id);
void cca_debug_at(cca_machine *m, uint64_t insns);     /* stop once at this count; UINT64_MAX: never */
void cca_debug_break(cca_machine *m);                  /* whichever context runs next stops first */
void cca_debug_gpf(cca_machine *m, int on);

/*
 * Snapshots: a machine (time and the GIC), and each context at rest, as bytes of one version of the plugin. -1: the
 * bytes are none of those, cca_core_error says why; the context must be one of the same configuration, just made.
 */
uint64_t cca_machine_state_size(const cca_machine *m);
void cca_machine_save(cca_machine *m, void *out);
int cca_machine_restore(cca_machine *m, const void *in, uint64_t size);
uint64_t cca_core_state_size(void);
int cca_core_save(cca_core *c, void *out);
int cca_core_restore(cca_core *c, const void *in, uint64_t size);
/* Of that, what a guest could ever see; how many bytes, 0 where the engine has given up. */
uint64_t cca_core_seen(cca_core *c, void *out);
/* Of memory in pages of 4 KiB: takes those that are all zeros out of `used`, and says how many are left. */
uint64_t cca_used_pages(const void *memory, uint64_t pages, uint8_t *used);
void cca_gather_pages(const void *memory, uint64_t pages, const uint8_t *used, void *out);
int cca_scatter_pages(void *memory, uint64_t pages, const uint8_t *used, const void *in, uint64_t size);

/* A block of guest code that has run `count` times under an id. */
struct cca_covered {
    uint64_t pc, count;
    uint32_t size;            /* bytes */
    uint32_t id;
};
/* From now on the blocks that a core runs are counted under an id; -1: no memory, or they are already. */
int cca_cover(cca_core *c, uint32_t id);
/* Copies at most `max` blocks, in no order; returns how many there are. They outlive their cores. */
uint64_t cca_covered_blocks(cca_machine *m, struct cca_covered *out, uint64_t max);
uint64_t cca_coverage_lost(cca_machine *m);           /* runs of blocks that there was no room for */
/* cffi: end */

#endif
