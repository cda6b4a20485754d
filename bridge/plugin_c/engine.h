/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam to the emulation engine. bind_unicorn.c is its one implementation; another TCG front end needs these
 * functions and must call the cca_on_* ones.
 */
#ifndef CCA_ENGINE_H
#define CCA_ENGINE_H

#include "cca.h"

#define CCA_UNKNOWN_PA UINT64_MAX

struct cca_engine;

enum cca_stop { CCA_STOP_ASKED, CCA_STOP_FAULT, CCA_STOP_ERROR, CCA_STOP_ABORTED, CCA_STOP_REACHED, CCA_STOP_POINT };

enum cca_exception {
    CCA_EXC_UNDEF,
    CCA_EXC_SVC,
    CCA_EXC_HVC,
    CCA_EXC_SMC,
    CCA_EXC_BRK,
    CCA_EXC_ALIGNMENT, /* and watchpoints: the syndrome tells */
    CCA_EXC_BREAKPOINT,
    CCA_EXC_OTHER,
};

/* Bytes that IC IVAU takes away: at least what CTR_EL0.IminLine says. */
#define CCA_CODE_LINE 64
#define CCA_WHOLE_PAGE UINT64_MAX

struct cca_engine *engine_open(cca_core *c, uint32_t tcg_megabytes, bool el2, char *err, size_t errlen);
void engine_close(struct cca_engine *e);
int engine_map(struct cca_engine *e, uint64_t pa, uint64_t size, void *host);
bool engine_cover(struct cca_engine *e); /* from now on cca_on_covered is called after cca_on_block */
enum cca_stop engine_run(struct cca_engine *e, uint64_t pc, int *error);
void engine_stop(struct cca_engine *e);
/* The next run ends with CCA_STOP_REACHED before the instruction at va, whose page is at pa. */
bool engine_stop_before(struct cca_engine *e, uint64_t va, uint64_t pa);
bool engine_stopping(struct cca_engine *e); /* the run under way is that one */
/* From now on runs end with CCA_STOP_POINT before the instruction at va, if cca_on_point says so; pa: its page, or
 * CCA_UNKNOWN_PA for a page of no one address space. Only while the engine is stopped. */
bool engine_add_point(struct cca_engine *e, uint64_t va, uint64_t pa);
void engine_remove_point(struct cca_engine *e, uint64_t va, uint64_t pa);
bool engine_stops_at(struct cca_engine *e, uint64_t va); /* by engine_stop_before, in the run under way */
uint64_t engine_pc(struct cca_engine *e);
void engine_set_pc(struct cca_engine *e, uint64_t pc);
uint32_t engine_pstate(struct cca_engine *e);
void engine_set_pstate(struct cca_engine *e, uint32_t pstate); /* banks SP, rebuilds cached state */
uint64_t engine_x(struct cca_engine *e, unsigned n);
void engine_set_x(struct cca_engine *e, unsigned n, uint64_t v);
void engine_get_xs(struct cca_engine *e, unsigned first, unsigned count, uint64_t *out);
void engine_set_xs(struct cca_engine *e, unsigned first, unsigned count, const uint64_t *in);
uint64_t engine_sp(struct cca_engine *e);
void engine_set_sp(struct cca_engine *e, uint64_t sp);
void engine_set_nzcv(struct cca_engine *e, uint32_t nzcv);
bool engine_has_sysreg(struct cca_engine *e, uint32_t encoding);
uint64_t engine_sysreg(struct cca_engine *e, uint32_t encoding);
bool engine_set_sysreg(struct cca_engine *e, uint32_t encoding, uint64_t v);
void engine_set_exception_regs(struct cca_engine *e, unsigned el, uint64_t elr, uint64_t spsr, uint64_t esr);
void engine_set_far(struct cca_engine *e, unsigned el, uint64_t far);
uint64_t engine_vbar(struct cca_engine *e, unsigned el);
void engine_flush_all(struct cca_engine *e);
/* Of one 4 KiB page, the lines of 64 bytes in `lines`; only while the engine is stopped. */
void engine_drop_code(struct cca_engine *e, uint64_t pa, uint64_t lines);
void engine_drop_all_code(struct cca_engine *e);
/* Of the exception being reported: its syndrome, the level it is meant for, and the address it is about. */
uint32_t engine_syndrome(struct cca_engine *e, uint32_t *target_el, uint64_t *address);

/* Everything that the engine holds of a context at rest; sysregs in the order in which it finds them. */
enum { CCA_STATE_SYSREGS = 320, CCA_STATE_VECTORS = 32 * 256 + 17 * 32 /* Z0 to Z31, P0 to P15, FFR */ };
struct cca_engine_state {
    uint64_t x[31], sp, pc;
    uint64_t exclusive[3];       /* the monitor: address, value, upper value */
    uint32_t pstate, nsysregs;
    struct { uint64_t encoding, value; } sysregs[CCA_STATE_SYSREGS];
    uint8_t vectors[CCA_STATE_VECTORS];
};
bool engine_save(struct cca_engine *e, struct cca_engine_state *out);
/* Into an engine just opened; 0, or what it refused: the encoding of a register, 1 for the rest. */
uint32_t engine_restore(struct cca_engine *e, const struct cca_engine_state *in);

/* Called by the binding. */
bool cca_on_fill(cca_core *c, uint64_t va, enum cca_access access, uint64_t *pa, uint8_t *prot);
void cca_on_block(cca_core *c, uint64_t pc, uint32_t bytes);
void cca_on_covered(cca_core *c, uint64_t pc, uint32_t bytes);
bool cca_on_point(cca_core *c, uint64_t va); /* whether to stop there */
void cca_on_exception(cca_core *c, enum cca_exception kind);
/* One MRS (read) or MSR/SYS; returns true when it was carried out and the engine must skip it. */
bool cca_on_sysreg(cca_core *c, uint32_t encoding, bool read, unsigned rt, uint64_t value);

#endif
