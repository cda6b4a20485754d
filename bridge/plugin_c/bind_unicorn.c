/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one file that knows Unicorn (2.1.4). Every odd-looking step here answers an observed behaviour of that
 * engine, which docs/engine.md lists.
 */
#define _POSIX_C_SOURCE 200809L /* setenv, sigsetjmp */

#include "debug.h"
#include "engine.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unicorn/unicorn.h>

struct cca_engine {
    uc_engine *uc;
    cca_core *core;
    uc_context *context;   /* this engine's own scratch copy, never restored */
    uint64_t drop_pa;      /* page whose code is being dropped: the fill hook answers it for drop_va */
    uint64_t drop_va;
    uint64_t stop_va, stop_pa;
    uc_hook stop_hook;
    bool stop_armed, stop_reached;
    struct engine_point { uint64_t va; uc_hook hook; } points[CCA_DEBUG_POINTS];
    unsigned npoints;
    bool point_reached;
    bool dropping;
    bool el1_only;         /* EL2 is not emulated */
    bool faulted;          /* the fill hook refused a translation since the last start */
    bool broken;           /* it aborted: its state is not to be trusted, nor freed */
};

/* Offset of CPUARMState.exception inside a context copy, found once by provoking a known syndrome. */
static size_t syndrome_offset;

enum { PROBE_SYNDROME = 0x5E001234 }; /* EC 0x17 (SMC64), IL, imm16 0x1234 */

/* The same of what has no register: Z0 (P0 follows Z31), and the exclusive monitor. */
static size_t vectors_offset, exclusive_offset;

#define PROBE_PAGE 0xFFFFFFF000ull
#define PROBE_VALUE 0xC0DEC0DE5A5A1234ull

static bool find_state(struct cca_engine *e)
{
    const unsigned char *p = (const unsigned char *)e->context;
    size_t n = uc_context_size(e->uc);
    uint64_t v[2] = {PROBE_VALUE, ~PROBE_VALUE}, w[2] = {~PROBE_VALUE, PROBE_VALUE};
    const uint64_t monitor[2] = {PROBE_PAGE + 0x800, PROBE_VALUE};
    for (size_t i = 0; !vectors_offset && i + CCA_STATE_VECTORS <= n; i += 8)
        if (!memcmp(p + i, v, 16) && !memcmp(p + i + 31 * 256, w, 16)) vectors_offset = i;
    for (size_t i = vectors_offset; vectors_offset && !exclusive_offset && i + 24 <= n; i += 8)
        if (!memcmp(p + i, monitor, 16)) exclusive_offset = i;
    return exclusive_offset != 0;
}

/*
 * The engine calls abort() on some words that are no instructions (unallocated half-precision vector encodings are
 * among them). A guest must not end the process by that, so abort() within a run comes back here.
 */
static sigjmp_buf abort_return;
static volatile sig_atomic_t abort_guarded;

static void on_abort(int number)
{
    if (abort_guarded) siglongjmp(abort_return, 1);
    signal(number, SIG_DFL);
    raise(number);
}

static void guard_aborts(void)
{
    static bool done;
    struct sigaction action;
    if (done) return;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_abort;
    action.sa_flags = SA_NODEFER;
    sigemptyset(&action.sa_mask);
    done = sigaction(SIGABRT, &action, NULL) == 0;
}

static uc_arm64_cp_reg cp_of(uint32_t encoding)
{
    uc_arm64_cp_reg cp;
    memset(&cp, 0, sizeof cp);
    cp.op0 = encoding >> 14;
    cp.op1 = (encoding >> 11) & 7;
    cp.crn = (encoding >> 7) & 15;
    cp.crm = (encoding >> 3) & 15;
    cp.op2 = encoding & 7;
    return cp;
}

static bool hook_fill(uc_engine *uc, uint64_t vaddr, uc_mem_type type, uc_tlb_entry *result, void *user)
{
    struct cca_engine *e = user;
    (void)uc;
    if (e->dropping) {
        result->paddr = e->drop_pa;
        result->perms = UC_PROT_READ | UC_PROT_EXEC;
        return (vaddr & ~0xFFFull) == e->drop_va;
    }
    enum cca_access access = type == UC_MEM_FETCH ? CCA_FETCH : type == UC_MEM_WRITE ? CCA_WRITE : CCA_READ;
    uint64_t pa;
    uint8_t prot;
    if (!cca_on_fill(e->core, vaddr, access, &pa, &prot)) {
        e->faulted = true;
        return false;
    }
    result->paddr = pa;
    result->perms = ((prot & CCA_PROT_R) ? UC_PROT_READ : 0) | ((prot & CCA_PROT_W) ? UC_PROT_WRITE : 0) |
                    ((prot & CCA_PROT_X) ? UC_PROT_EXEC : 0);
    return true;
}

static void hook_block(uc_engine *uc, uint64_t address, uint32_t size, void *user)
{
    struct cca_engine *e = user;
    (void)uc;
    cca_on_block(e->core, address, size);
}

static void hook_intr(uc_engine *uc, uint32_t number, void *user)
{
    struct cca_engine *e = user;
    (void)uc;
    enum cca_exception kind;
    switch (number) {
    case 1:
    case 12: kind = CCA_EXC_UNDEF; break; /* 12: SMC at EL1 that HCR_EL2.TSC traps; PC is at it */
    case 2: kind = CCA_EXC_SVC; break;
    case 3: kind = CCA_EXC_BREAKPOINT; break;
    case 4: kind = CCA_EXC_ALIGNMENT; break;
    case 7: kind = CCA_EXC_BRK; break;
    case 11: kind = CCA_EXC_HVC; break;
    case 13: kind = CCA_EXC_SMC; break;
    default: kind = CCA_EXC_OTHER; break;
    }
    cca_on_exception(e->core, kind);
}

static uint32_t sys_common(struct cca_engine *e, uc_arm64_reg reg, const uc_arm64_cp_reg *cp, bool read)
{
    unsigned rt = reg == UC_ARM64_REG_XZR ? 31 : reg == UC_ARM64_REG_X29 ? 29 : reg == UC_ARM64_REG_X30 ? 30
                : (unsigned)(reg - UC_ARM64_REG_X0);
    uint32_t encoding = CCA_SYSREG(cp->op0, cp->op1, cp->crn, cp->crm, cp->op2);
    return cca_on_sysreg(e->core, encoding, read, rt, cp->val);
}

static uint32_t hook_read(uc_engine *uc, uc_arm64_reg reg, const uc_arm64_cp_reg *cp, void *user)
{
    (void)uc;
    return sys_common(user, reg, cp, true);
}

static uint32_t hook_write(uc_engine *uc, uc_arm64_reg reg, const uc_arm64_cp_reg *cp, void *user)
{
    (void)uc;
    return sys_common(user, reg, cp, false);
}

static void probe_intr(uc_engine *uc, uint32_t number, void *user)
{
    struct cca_engine *e = user;
    (void)number;
    if (syndrome_offset == 0 && uc_context_save(uc, e->context) == UC_ERR_OK && find_state(e)) {
        /* the context object starts with its own header; the register copy follows */
        const unsigned char *p = (const unsigned char *)e->context;
        size_t n = uc_context_size(uc);
        for (size_t i = 0; i + 4 <= n; i += 4) {
            uint32_t v;
            memcpy(&v, p + i, 4);
            if (v == PROBE_SYNDROME) {
                syndrome_offset = i;
                break;
            }
        }
    }
    uc_emu_stop(uc);
}

static bool probe_fill(uc_engine *uc, uint64_t vaddr, uc_mem_type type, uc_tlb_entry *result, void *user)
{
    (void)uc, (void)type, (void)user;
    result->paddr = vaddr;
    result->perms = UC_PROT_READ | UC_PROT_EXEC;
    return true;
}

/* Runs one LDXR and one SMC #0x1234 in a page that is mapped for this alone. */
static uc_err find_syndrome(struct cca_engine *e)
{
    static const uint32_t code[1024] = {[0] = 0xC85F7C20 /* ldxr x0, [x1] */, [1] = 0xD4024683 /* smc #0x1234 */,
                                        [512] = (uint32_t)PROBE_VALUE, [513] = PROBE_VALUE >> 32};
    const uint64_t v[2] = {PROBE_VALUE, ~PROBE_VALUE}, w[2] = {~PROBE_VALUE, PROBE_VALUE}, none[2] = {0, 0};
    uint64_t at = PROBE_PAGE, where = at + 0x800, zero = 0;
    uc_hook h1, h2;
    uc_err err = uc_mem_map(e->uc, at, 0x1000, UC_PROT_READ | UC_PROT_EXEC);
    if (err == UC_ERR_OK) err = uc_reg_write(e->uc, UC_ARM64_REG_X1, &where);
    if (err == UC_ERR_OK) err = uc_reg_write(e->uc, UC_ARM64_REG_V0, v);
    if (err == UC_ERR_OK) err = uc_reg_write(e->uc, UC_ARM64_REG_V31, w);
    if (err == UC_ERR_OK) err = uc_mem_write(e->uc, at, code, sizeof code);
    if (err == UC_ERR_OK) err = uc_hook_add(e->uc, &h1, UC_HOOK_INTR, (void *)probe_intr, e, 1, 0);
    if (err == UC_ERR_OK) err = uc_hook_add(e->uc, &h2, UC_HOOK_TLB_FILL, (void *)probe_fill, e, 1, 0);
    if (err == UC_ERR_OK) err = uc_emu_start(e->uc, at, 0, 0, 0);
    if (err == UC_ERR_OK) err = uc_hook_del(e->uc, h1);
    if (err == UC_ERR_OK) err = uc_hook_del(e->uc, h2);
    if (err == UC_ERR_OK) err = uc_ctl_flush_tlb(e->uc);
    if (err == UC_ERR_OK) err = uc_ctl_flush_tb(e->uc);
    if (err == UC_ERR_OK) err = uc_mem_unmap(e->uc, at, 0x1000);
    if (err == UC_ERR_OK) err = uc_reg_write(e->uc, UC_ARM64_REG_X0, &zero);
    if (err == UC_ERR_OK) err = uc_reg_write(e->uc, UC_ARM64_REG_X1, &zero);
    if (err == UC_ERR_OK) err = uc_reg_write(e->uc, UC_ARM64_REG_V0, none);
    if (err == UC_ERR_OK) err = uc_reg_write(e->uc, UC_ARM64_REG_V31, none);
    if (err == UC_ERR_OK && syndrome_offset == 0) err = UC_ERR_EXCEPTION;
    if (err == UC_ERR_OK) err = uc_context_save(e->uc, e->context);
    if (err == UC_ERR_OK) { /* the monitor as it was */
        const uint64_t open[3] = {UINT64_MAX, 0, 0};
        memcpy((unsigned char *)e->context + exclusive_offset, open, sizeof open);
        err = uc_context_restore(e->uc, e->context);
    }
    return err;
}

struct cca_engine *engine_open(cca_core *c, uint32_t tcg_megabytes, bool el2, char *errbuf, size_t errlen)
{
    struct cca_engine *e = calloc(1, sizeof *e);
    uc_hook h;
    uc_err err;
    const char *step = "calloc";
    if (e == NULL) {
        snprintf(errbuf, errlen, "out of memory");
        return NULL;
    }
    e->core = c;
    e->el1_only = !el2;
    /* without it, asking for a register that the engine lacks prints a warning and claims success */
    setenv("UC_IGNORE_REG_BREAK", "1", 1);
    unsigned major, minor;
    uc_version(&major, &minor);
    if (major != 2) {
        snprintf(errbuf, errlen, "libunicorn %u.%u is not version 2", major, minor);
        free(e);
        return NULL;
    }
#define TRY(what, call)          \
    step = what;                 \
    err = (call);                \
    if (err != UC_ERR_OK) goto fail
    TRY("uc_open", uc_open(UC_ARCH_ARM64, UC_MODE_ARM, &e->uc));
    TRY("cpu model", uc_ctl_set_cpu_model(e->uc, UC_CPU_ARM64_MAX));
    TRY("page size", uc_ctl_set_page_size(e->uc, 4096));
    TRY("tcg buffer", uc_ctl_set_tcg_buffer_size(e->uc, tcg_megabytes << 20));
    TRY("tlb mode", uc_ctl_tlb_mode(e->uc, UC_TLB_VIRTUAL));
    TRY("exits", uc_ctl_exits_enable(e->uc));
    TRY("context", uc_context_alloc(e->uc, &e->context));
    /* SCR_EL3 = NS, SMD clear, HCE, RW; APK, API so that pointer authentication does not trap to an EL3 we are */
    if (!engine_set_sysreg(e, CCA_SYSREG(3, 6, 1, 1, 0), 0x501 | (3u << 16))) {
        step = "SCR_EL3";
        err = UC_ERR_ARG;
        goto fail;
    }
    engine_set_pstate(e, 0x3C5);
    if (syndrome_offset == 0) {
        TRY("syndrome probe", find_syndrome(e));
    }
    TRY("fill hook", uc_hook_add(e->uc, &h, UC_HOOK_TLB_FILL, (void *)hook_fill, e, 1, 0));
    TRY("block hook", uc_hook_add(e->uc, &h, UC_HOOK_BLOCK, (void *)hook_block, e, 1, 0));
    TRY("exception hook", uc_hook_add(e->uc, &h, UC_HOOK_INTR, (void *)hook_intr, e, 1, 0));
    TRY("mrs hook", uc_hook_add(e->uc, &h, UC_HOOK_INSN, (void *)hook_read, e, 1, 0, UC_ARM64_INS_MRS));
    TRY("msr hook", uc_hook_add(e->uc, &h, UC_HOOK_INSN, (void *)hook_write, e, 1, 0, UC_ARM64_INS_MSR));
    TRY("sys hook", uc_hook_add(e->uc, &h, UC_HOOK_INSN, (void *)hook_write, e, 1, 0, UC_ARM64_INS_SYS));
#undef TRY
    return e;
fail:
    snprintf(errbuf, errlen, "%s: %s", step, uc_strerror(err));
    engine_close(e);
    return NULL;
}

void engine_close(struct cca_engine *e)
{
    if (e == NULL) return;
    if (!e->broken) {
        if (e->context) uc_context_free(e->context);
        if (e->uc) uc_close(e->uc);
    }
    free(e);
}

static void hook_covered(uc_engine *uc, uint64_t address, uint32_t size, void *user)
{
    struct cca_engine *e = user;
    (void)uc;
    cca_on_covered(e->core, address, size);
}

bool engine_cover(struct cca_engine *e)
{
    uc_hook h;
    engine_drop_all_code(e); /* what is translated knows of one block hook */
    return uc_hook_add(e->uc, &h, UC_HOOK_BLOCK, (void *)hook_covered, e, 1, 0) == UC_ERR_OK;
}

int engine_map(struct cca_engine *e, uint64_t pa, uint64_t size, void *host)
{
    return uc_mem_map_ptr(e->uc, pa, size, UC_PROT_ALL, host) == UC_ERR_OK ? 0 : -1;
}

static void hook_stop_before(uc_engine *uc, uint64_t address, uint32_t size, void *user)
{
    struct cca_engine *e = user;
    (void)address, (void)size;
    e->stop_reached = true;
    uc_emu_stop(uc);
}

/* Code hooks are built into the code that is translated while they exist, so that code goes before and after. */
bool engine_stop_before(struct cca_engine *e, uint64_t va, uint64_t pa)
{
    engine_drop_code(e, pa, CCA_WHOLE_PAGE);
    e->stop_va = va;
    e->stop_pa = pa & ~0xFFFull;
    e->stop_reached = false;
    e->stop_armed =
        uc_hook_add(e->uc, &e->stop_hook, UC_HOOK_CODE, (void *)hook_stop_before, e, va, va) == UC_ERR_OK;
    return e->stop_armed;
}

bool engine_stopping(struct cca_engine *e)
{
    return e->stop_armed;
}

bool engine_stops_at(struct cca_engine *e, uint64_t va)
{
    return e->stop_armed && e->stop_va == va;
}

static void remove_stop(struct cca_engine *e)
{
    e->stop_armed = false;
    uc_ctl_flush_tlb(e->uc);
    e->dropping = true; /* removing the hook looks the address up */
    e->drop_va = e->stop_va & ~0xFFFull;
    e->drop_pa = e->stop_pa;
    uc_hook_del(e->uc, e->stop_hook);
    e->dropping = false;
    engine_drop_code(e, e->stop_pa, CCA_WHOLE_PAGE);
}

static void hook_point(uc_engine *uc, uint64_t address, uint32_t size, void *user)
{
    struct cca_engine *e = user;
    (void)size;
    if (!cca_on_point(e->core, address)) return;
    e->point_reached = true;
    uc_emu_stop(uc);
}

static void drop_point_code(struct cca_engine *e, uint64_t pa)
{
    if (pa == CCA_UNKNOWN_PA) engine_drop_all_code(e);
    else engine_drop_code(e, pa, CCA_WHOLE_PAGE);
}

bool engine_add_point(struct cca_engine *e, uint64_t va, uint64_t pa)
{
    if (e->npoints == CCA_DEBUG_POINTS || e->broken) return false;
    struct engine_point *p = &e->points[e->npoints];
    p->va = va;
    drop_point_code(e, pa);
    if (uc_hook_add(e->uc, &p->hook, UC_HOOK_CODE, (void *)hook_point, e, va, va) != UC_ERR_OK) return false;
    e->npoints++;
    return true;
}

void engine_remove_point(struct cca_engine *e, uint64_t va, uint64_t pa)
{
    for (unsigned i = 0; i < e->npoints; i++) {
        if (e->points[i].va != va) continue;
        uc_ctl_flush_tlb(e->uc);
        e->dropping = true; /* removing the hook looks the address up */
        e->drop_va = va & ~0xFFFull;
        e->drop_pa = pa == CCA_UNKNOWN_PA ? 0 : pa & ~0xFFFull;
        uc_hook_del(e->uc, e->points[i].hook);
        e->dropping = false;
        uc_ctl_flush_tlb(e->uc);
        drop_point_code(e, pa);
        e->points[i] = e->points[--e->npoints];
        return;
    }
}

enum cca_stop engine_run(struct cca_engine *e, uint64_t pc, int *error)
{
    e->faulted = e->point_reached = false;
    if (e->broken) return CCA_STOP_ABORTED;
    guard_aborts();
    if (sigsetjmp(abort_return, 0) != 0) {
        abort_guarded = 0;
        e->broken = true;
        return CCA_STOP_ABORTED;
    }
    abort_guarded = 1;
    uc_err err = uc_emu_start(e->uc, pc, 0, 0, 0);
    abort_guarded = 0;
    if (e->stop_armed) {
        remove_stop(e);
        if (err == UC_ERR_OK && e->stop_reached) return CCA_STOP_REACHED;
    }
    if (err == UC_ERR_OK && e->point_reached) return CCA_STOP_POINT;
    if (err == UC_ERR_OK) return CCA_STOP_ASKED; /* or WFI: the core knows whether it asked */
    if (err == UC_ERR_EXCEPTION && e->faulted) return CCA_STOP_FAULT;
    *error = (int)err;
    return CCA_STOP_ERROR;
}

void engine_stop(struct cca_engine *e)
{
    uc_emu_stop(e->uc);
}

uint64_t engine_pc(struct cca_engine *e)
{
    uint64_t v = 0;
    uc_reg_read(e->uc, UC_ARM64_REG_PC, &v);
    return v;
}

void engine_set_pc(struct cca_engine *e, uint64_t pc)
{
    uc_reg_write(e->uc, UC_ARM64_REG_PC, &pc);
}

uint32_t engine_pstate(struct cca_engine *e)
{
    uint32_t v = 0;
    uc_reg_read(e->uc, UC_ARM64_REG_PSTATE, &v);
    return v;
}

static int sp_reg(uint32_t pstate)
{
    static const int regs[4] = {UC_ARM64_REG_SP_EL0, UC_ARM64_REG_SP_EL1, UC_ARM64_REG_SP_EL2, UC_ARM64_REG_SP_EL3};
    return regs[(pstate & 1) ? (pstate >> 2) & 3 : 0];
}

void engine_set_pstate(struct cca_engine *e, uint32_t pstate)
{
    uint32_t old = engine_pstate(e);
    uint64_t sp = 0;
    uc_reg_read(e->uc, UC_ARM64_REG_SP, &sp);
    uc_reg_write(e->uc, sp_reg(old), &sp);
    uc_reg_write(e->uc, UC_ARM64_REG_PSTATE, &pstate);
    uc_reg_read(e->uc, sp_reg(pstate), &sp);
    uc_reg_write(e->uc, UC_ARM64_REG_SP, &sp);
    /* any CP_REG write rebuilds the cached flags; TPIDR_EL3 is nobody's */
    engine_set_sysreg(e, CCA_SYSREG(3, 6, 13, 0, 2), 0);
}

static const int xreg[31] = {
    UC_ARM64_REG_X0,  UC_ARM64_REG_X1,  UC_ARM64_REG_X2,  UC_ARM64_REG_X3,  UC_ARM64_REG_X4,  UC_ARM64_REG_X5,
    UC_ARM64_REG_X6,  UC_ARM64_REG_X7,  UC_ARM64_REG_X8,  UC_ARM64_REG_X9,  UC_ARM64_REG_X10, UC_ARM64_REG_X11,
    UC_ARM64_REG_X12, UC_ARM64_REG_X13, UC_ARM64_REG_X14, UC_ARM64_REG_X15, UC_ARM64_REG_X16, UC_ARM64_REG_X17,
    UC_ARM64_REG_X18, UC_ARM64_REG_X19, UC_ARM64_REG_X20, UC_ARM64_REG_X21, UC_ARM64_REG_X22, UC_ARM64_REG_X23,
    UC_ARM64_REG_X24, UC_ARM64_REG_X25, UC_ARM64_REG_X26, UC_ARM64_REG_X27, UC_ARM64_REG_X28, UC_ARM64_REG_X29,
    UC_ARM64_REG_X30};

uint64_t engine_x(struct cca_engine *e, unsigned n)
{
    uint64_t v = 0;
    if (n < 31) uc_reg_read(e->uc, xreg[n], &v);
    return v;
}

void engine_set_x(struct cca_engine *e, unsigned n, uint64_t v)
{
    if (n < 31) uc_reg_write(e->uc, xreg[n], &v);
}

void engine_get_xs(struct cca_engine *e, unsigned first, unsigned count, uint64_t *out)
{
    for (unsigned i = 0; i < count; i++) out[i] = engine_x(e, first + i);
}

void engine_set_xs(struct cca_engine *e, unsigned first, unsigned count, const uint64_t *in)
{
    for (unsigned i = 0; i < count; i++) engine_set_x(e, first + i, in[i]);
}

uint64_t engine_sp(struct cca_engine *e)
{
    uint64_t v = 0;
    uc_reg_read(e->uc, UC_ARM64_REG_SP, &v);
    return v;
}

void engine_set_sp(struct cca_engine *e, uint64_t sp)
{
    uc_reg_write(e->uc, UC_ARM64_REG_SP, &sp);
}

void engine_set_nzcv(struct cca_engine *e, uint32_t nzcv)
{
    uc_reg_write(e->uc, UC_ARM64_REG_NZCV, &nzcv);
}

bool engine_has_sysreg(struct cca_engine *e, uint32_t encoding)
{
    uc_arm64_cp_reg cp = cp_of(encoding);
    return uc_reg_read(e->uc, UC_ARM64_REG_CP_REG, &cp) == UC_ERR_OK;
}

uint64_t engine_sysreg(struct cca_engine *e, uint32_t encoding)
{
    uc_arm64_cp_reg cp = cp_of(encoding);
    return uc_reg_read(e->uc, UC_ARM64_REG_CP_REG, &cp) == UC_ERR_OK ? cp.val : 0;
}

bool engine_set_sysreg(struct cca_engine *e, uint32_t encoding, uint64_t v)
{
    uc_arm64_cp_reg cp = cp_of(encoding);
    cp.val = v;
    return uc_reg_write(e->uc, UC_ARM64_REG_CP_REG, &cp) == UC_ERR_OK;
}

void engine_set_exception_regs(struct cca_engine *e, unsigned el, uint64_t elr, uint64_t spsr, uint64_t esr)
{
    uc_reg_write(e->uc, el == 2 ? UC_ARM64_REG_ELR_EL2 : UC_ARM64_REG_ELR_EL1, &elr);
    uc_reg_write(e->uc, el == 2 ? UC_ARM64_REG_ESR_EL2 : UC_ARM64_REG_ESR_EL1, &esr);
    engine_set_sysreg(e, CCA_SYSREG(3, el == 2 ? 4 : 0, 4, 0, 0), spsr);
}

void engine_set_far(struct cca_engine *e, unsigned el, uint64_t far)
{
    uc_reg_write(e->uc, el == 2 ? UC_ARM64_REG_FAR_EL2 : UC_ARM64_REG_FAR_EL1, &far);
}

uint64_t engine_vbar(struct cca_engine *e, unsigned el)
{
    uint64_t v = 0;
    uc_reg_read(e->uc, el == 2 ? UC_ARM64_REG_VBAR_EL2 : UC_ARM64_REG_VBAR_EL1, &v);
    return v;
}

void engine_flush_all(struct cca_engine *e)
{
    uc_ctl_flush_tlb(e->uc);
}

/* The engine's entry for the page of `va`, in the regimes of EL1 and EL0; all of them where EL2 is emulated too. */
static void flush_page(struct cca_engine *e, uint64_t va)
{
    if (e->el1_only) engine_set_sysreg(e, CCA_SYSREG(1, 0, 8, 7, 3), va >> 12); /* TLBI VAAE1 */
    else uc_ctl_flush_tlb(e->uc);
}

void engine_drop_code(struct cca_engine *e, uint64_t pa, uint64_t lines)
{
    uint64_t page = pa & ~0xFFFull;
    /* remove_cache takes a virtual address: make the page identity-mapped for the length of the calls */
    flush_page(e, page);
    e->dropping = true;
    e->drop_va = e->drop_pa = page;
    for (unsigned first = 0; first < 64; first++) {
        if (!((lines >> first) & 1)) continue;
        unsigned end = first + 1;
        while (end < 64 && ((lines >> end) & 1)) end++;
        uc_ctl_remove_cache(e->uc, page + first * 64ull, page + end * 64ull);
        first = end;
    }
    e->dropping = false;
    flush_page(e, page);
}

void engine_drop_all_code(struct cca_engine *e)
{
    uc_ctl_flush_tb(e->uc);
}

uint32_t engine_syndrome(struct cca_engine *e, uint32_t *target_el, uint64_t *address)
{
    /* struct { uint32_t syndrome, fsr; uint64_t vaddress; uint32_t target_el; } */
    uint32_t syndrome = 0;
    *target_el = 1;
    *address = 0;
    if (uc_context_save(e->uc, e->context) != UC_ERR_OK) return 0;
    const unsigned char *p = (const unsigned char *)e->context + syndrome_offset;
    memcpy(&syndrome, p, 4);
    memcpy(address, p + 8, 8);
    memcpy(target_el, p + 16, 4);
    return syndrome;
}

/* Registers that are views of PSTATE, that the plugin answers for (time, PMU), or that read as something new each time. */
static bool is_state(uint32_t encoding)
{
    uint32_t low = encoding & 0x7FF, crn = low >> 7;
    if (low >> 3 == CCA_SYSREG(0, 0, 4, 2, 0) >> 3 || encoding == CCA_SYSREG(3, 0, 12, 1, 0)) return false;
    if (encoding >> 14 == 3 && crn == 14) return low == CCA_SYSREG(0, 0, 14, 1, 0);
    if (encoding >> 14 == 3 && crn == 9) return false;
    return low >> 3 != CCA_SYSREG(0, 0, 2, 4, 0) >> 3; /* RNDR, RNDRRS */
}

/* The system registers that the engine has, found once: 16 Ki look-ups. */
static const uint16_t *state_registers(struct cca_engine *e, unsigned *count)
{
    static uint16_t found[CCA_STATE_SYSREGS];
    static unsigned n;
    static bool done;
    for (uint32_t encoding = 0x8000; !done && encoding <= 0xFFFF; encoding++) {
        if (n < CCA_STATE_SYSREGS && is_state(encoding) && engine_has_sysreg(e, encoding)) found[n++] = (uint16_t)encoding;
    }
    done = true;
    *count = n;
    return found;
}

bool engine_save(struct cca_engine *e, struct cca_engine_state *out)
{
    unsigned count;
    const uint16_t *registers = state_registers(e, &count);
    if (e->broken || uc_context_save(e->uc, e->context) != UC_ERR_OK) return false;
    const unsigned char *p = (const unsigned char *)e->context;
    memcpy(out->vectors, p + vectors_offset, sizeof out->vectors);
    memcpy(out->exclusive, p + exclusive_offset, sizeof out->exclusive);
    engine_get_xs(e, 0, 31, out->x);
    out->sp = engine_sp(e);
    out->pc = engine_pc(e);
    out->pstate = engine_pstate(e);
    out->nsysregs = count;
    for (unsigned i = 0; i < count; i++) {
        out->sysregs[i].encoding = registers[i];
        out->sysregs[i].value = engine_sysreg(e, registers[i]);
    }
    return true;
}

uint32_t engine_restore(struct cca_engine *e, const struct cca_engine_state *in)
{
    unsigned count;
    const uint16_t *registers = state_registers(e, &count);
    unsigned el = (in->pstate >> 2) & 3;
    if (in->nsysregs != count || el > 2 || (in->pstate & 0x12) || uc_context_save(e->uc, e->context) != UC_ERR_OK) return 1;
    unsigned char *p = (unsigned char *)e->context;
    memcpy(p + vectors_offset, in->vectors, sizeof in->vectors);
    memcpy(p + exclusive_offset, in->exclusive, sizeof in->exclusive);
    if (uc_context_restore(e->uc, e->context) != UC_ERR_OK) return 1;
    engine_set_pstate(e, in->pstate);
    for (unsigned i = 0; i < count; i++) {
        if (in->sysregs[i].encoding != registers[i]) return 1;
        if (engine_sysreg(e, registers[i]) == in->sysregs[i].value) continue;
        engine_set_sysreg(e, registers[i], in->sysregs[i].value);
    }
    for (unsigned i = 0; i < count; i++) /* once all are there: some refuse what others do not allow */
        if (engine_sysreg(e, registers[i]) != in->sysregs[i].value) return registers[i];
    engine_set_sp(e, in->sp);
    engine_set_xs(e, 0, 31, in->x);
    engine_set_pc(e, in->pc);
    engine_set_sysreg(e, CCA_SYSREG(3, 6, 13, 0, 2), 0); /* the engine's cached flags: see engine_set_pstate */
    return 0;
}
