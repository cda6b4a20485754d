/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Machines and cores: their lives, and the run loop. */
#include "core.h"
#include "traps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cca_machine *cca_machine_new(uint64_t cntfrq, uint64_t rate)
{
    if (cntfrq == 0 || rate == 0) return NULL;
    cca_machine *m = calloc(1, sizeof *m);
    if (m == NULL) return NULL;
    m->cntfrq = cntfrq;
    m->rate = rate;
    m->limit = m->turn_end = m->debug.at = m->debug.near = CCA_NEVER;
    return m;
}

void cca_machine_free(cca_machine *m)
{
    if (m == NULL) return;
    while (m->ncores) cca_core_free(m->cores[m->ncores - 1]);
    free(m->mem.regions);
    cca_coverage_free(m);
    free(m->gic);
    free(m);
}

int cca_machine_add_ram(cca_machine *m, uint64_t pa, uint64_t size, void *host)
{
    struct cca_mem *mem = &m->mem;
    if (size == 0 || ((pa | size | (uintptr_t)host) & 0xFFF) || pa + size < pa || m->ncores) return -1;
    size_t at = 0;
    while (at < mem->nregions && mem->regions[at].base < pa) at++;
    if (at > 0 && mem->regions[at - 1].base + mem->regions[at - 1].size > pa) return -1;
    if (at < mem->nregions && pa + size > mem->regions[at].base) return -1;
    struct cca_region *grown = realloc(mem->regions, (mem->nregions + 1) * sizeof *grown);
    if (grown == NULL) return -1;
    memmove(grown + at + 1, grown + at, (mem->nregions - at) * sizeof *grown);
    grown[at] = (struct cca_region){pa, size, host};
    mem->regions = grown;
    mem->nregions++;
    return 0;
}

void cca_machine_set_gpt(cca_machine *m, uint64_t base, uint32_t pps_bits, uint32_t l0_bits, uint32_t pgs_bits)
{
    m->mem.gpc = (struct cca_gpc){.base = base, .enabled = 1, .pps_bits = (uint8_t)pps_bits,
                                  .l0_bits = (uint8_t)l0_bits, .pgs_bits = (uint8_t)pgs_bits};
    for (size_t i = 0; i < m->ncores; i++) m->cores[i]->flush_pending = true;
}

int cca_check(cca_machine *m, uint64_t pa, uint64_t size, uint32_t pas, uint64_t *bad)
{
    uint64_t end = pa + size;
    *bad = pa;
    if (end < pa) return 2;
    for (uint64_t p = pa & ~0xFFFull; p < end; p += 4096) {
        struct cca_fault f;
        uint8_t gpi;
        uint64_t at = p < pa ? pa : p;
        if (!cca_gpc_check(&m->mem, p, (uint8_t)pas, &gpi, &f)) {
            *bad = at;
            return 1;
        }
        if (cca_ram(&m->mem, p, 4096) == NULL) {
            *bad = at;
            return 2;
        }
    }
    return 0;
}

int cca_read(cca_machine *m, uint64_t pa, uint64_t size, uint32_t pas, void *out, uint64_t *bad)
{
    int refused = cca_check(m, pa, size, pas, bad);
    const uint8_t *host = refused ? NULL : cca_ram(&m->mem, pa, size);
    if (host == NULL) return refused ? refused : 2; /* a range over two regions is nobody's buffer */
    memcpy(out, host, size);
    return 0;
}

int cca_write(cca_machine *m, uint64_t pa, uint64_t size, uint32_t pas, const void *data, uint64_t *bad)
{
    int refused = cca_check(m, pa, size, pas, bad);
    uint8_t *host = refused ? NULL : cca_ram(&m->mem, pa, size);
    if (host == NULL) return refused ? refused : 2;
    memcpy(host, data, size);
    cca_memory_written(m, pa, size);
    return 0;
}

cca_core *cca_core_new(cca_machine *m, const struct cca_core_config *config)
{
    cca_core *c = calloc(1, sizeof *c);
    if (c == NULL) return NULL;
    c->m = m;
    c->cfg = *config;
    c->mmu_dirty = true;
    c->known_generation = 1;
    c->rng = config->seed;
    c->loop_insns = CCA_NEVER;
    c->solo = true;
    if (config->pe >= (m->gic ? m->gic->config.npes : GIC_MAX_PES)) {
        snprintf(c->error, sizeof c->error, "there is no PE of index %u", config->pe);
        return c;
    }
    if (m->ncores == CCA_MAX_CORES) {
        snprintf(c->error, sizeof c->error, "more than %d execution contexts", CCA_MAX_CORES);
        return c;
    }
    c->e = engine_open(c, config->tcg_megabytes, config->el == 2, c->error, sizeof c->error);
    if (c->e == NULL) return c;
    for (size_t i = 0; i < m->mem.nregions; i++) {
        const struct cca_region *r = &m->mem.regions[i];
        if (engine_map(c->e, r->base, r->size, r->host) != 0) {
            snprintf(c->error, sizeof c->error, "the engine cannot map RAM at PA 0x%llx",
                     (unsigned long long)r->base);
            engine_close(c->e);
            c->e = NULL;
            return c;
        }
    }
    for (unsigned i = 0; i < 128; i++)
        c->id[i] = engine_sysreg(c->e, CCA_SYSREG(3, 0, 0, i >> 3, i & 7));
    c->id[5] = config->mpidr;
    engine_set_sysreg(c->e, CCA_SYSREG(3, 4, 0, 0, 5), config->mpidr); /* VMPIDR_EL2 resets to MPIDR_EL1 */
    engine_set_sysreg(c->e, CCA_SYSREG(3, 0, 1, 0, 2), 3ull << 20);   /* CPACR_EL1.FPEN: what resets is UNKNOWN */
    /* HCR_EL2 = API, APK, RW: what else the context asks for is emulated here, not by the engine */
    engine_set_sysreg(c->e, CCA_SYSREG(3, 4, 1, 1, 0), (3ull << 40) | (1ull << 31));
    engine_set_pstate(c->e, config->el == 2 ? 0x3C9 : 0x3C5);
    cca_pmu_reset(c);
    m->cores[m->ncores++] = c;
    if (config->pas == CCA_PAS_NS) m->pes[config->pe].normal = c;
    if (config->pas == CCA_PAS_SECURE) m->pes[config->pe].secure = c;
    return c;
}

void cca_core_free(cca_core *c)
{
    if (c == NULL) return;
    cca_machine *m = c->m;
    for (size_t i = 0; i < m->ncores; i++) {
        if (m->cores[i] != c) continue;
        memmove(m->cores + i, m->cores + i + 1, (m->ncores - i - 1) * sizeof m->cores[0]);
        m->ncores--;
        cca_drop_lines(c);
        break;
    }
    engine_close(c->e);
    free(c);
}

struct cca_exit *cca_core_exit(cca_core *c)
{
    return &c->exit;
}

const char *cca_core_error(cca_core *c)
{
    return c->error;
}

/* What is not over at a deadline but must be looked at before each block. */
bool cca_due_each_block(const struct cca_core *c)
{
    return c->polling || c->irq_stale || c->pmu.by_el || c->watch || !c->solo;
}

bool cca_each_block(const struct cca_core *c)
{
    return cca_due_each_block(c) || c->debug.step || c->debug.resume;
}

static inline void count_block(cca_core *c, uint64_t pc, uint32_t bytes)
{
    uint32_t n = bytes >> 2;
    c->block_pc = pc;
    c->block_insns = n;
    c->m->insns += n;
    c->own_insns += n;
}

/*
 * WFE and YIELD end a block; while others want to run, they end the turn too. A block of another regime at the same PC
 * may be taken for one that is known: then the turn goes on to its end.
 */
static bool gives_way(cca_core *c, uint64_t pc, uint32_t bytes)
{
    struct cca_plain *known = &c->goes_on[(pc >> 2) % CCA_PLAIN_BLOCKS];
    uint32_t insn;
    if (known->pc == pc && known->bytes == bytes && known->generation == c->plain_generation) return false;
    if (!cca_read_insn(c, pc + bytes - 4, (int)((engine_pstate(c->e) >> 2) & 3), &insn)) return false;
    if (insn == INSN_WFE || insn == INSN_YIELD) return true;
    *known = (struct cca_plain){pc, bytes, c->plain_generation};
    return false;
}

/* Apart, and called last, so that cca_on_block has no registers to save. */
static __attribute__((noinline)) void look_closer(cca_core *c, uint64_t pc, uint32_t bytes)
{
    if (c->pmu.by_el) cca_pmu_block(c);
    bool debugging = cca_debug_looks(c), stopping = c->ndrop || c->drop_all_pending;
    enum cca_verdict verdict = debugging ? cca_debug_block(c, pc, bytes) : VERDICT_POLL;
    if (verdict == VERDICT_RUN || (verdict == VERDICT_POLL && !stopping && cca_poll(c))) {
        if (c->watch && cca_watch_block(c, pc, bytes)) return;
        count_block(c, pc, bytes);
        if (debugging) cca_debug_counted(c);
        if (!c->solo && gives_way(c, pc, bytes)) c->slice_end = c->due = c->m->insns;
        if (c->m->debug.near < c->deadline) c->deadline = c->m->debug.near;
        return;
    }
    c->block_insns = 0; /* it stops before this block, which is not counted */
    c->stopped = true;
    engine_stop(c->e);
}

void cca_on_block(cca_core *c, uint64_t pc, uint32_t bytes)
{
    if (__builtin_expect(c->m->insns >= c->deadline, 0)) look_closer(c, pc, bytes);
    else count_block(c, pc, bytes);
}

static void waits(cca_core *c)
{
    cca_update_deadline(c);
    if (c->m->insns >= c->due) return; /* what it waits for is there */
    if (c->trap_wfi) {
        engine_set_pc(c->e, engine_pc(c->e) - 4);
        c->exit.esr = (1ull << 26) | (1ull << 25) | (1ull << 24) | (0xEull << 20);
        cca_leave(c, CCA_EXIT_WFX_TRAP);
    } else if (!(c->m->gic ? cca_sleep(c) : cca_skip_to_timer(c))) {
        cca_leave(c, CCA_EXIT_WFI);
    }
}

/* The deadline has come: whose was it? */
static void deadline_reached(cca_core *c)
{
    cca_machine *m = c->m;
    if (c->cfg.irq_exits && cca_timer_fires(c)) {
        int asserted = cca_timers_asserted(c);
        c->timer_seen[0] = asserted & 1;
        c->timer_seen[1] = (asserted & 2) != 0;
        cca_leave(c, CCA_EXIT_TIMER);
    } else if (c->cfg.irq_exits && cca_pmu_fires(c)) {
        c->pmu.seen = true;
        cca_leave(c, CCA_EXIT_TIMER);
    } else if (m->insns >= m->limit) {
        cca_leave(c, CCA_EXIT_LIMIT);
    } else if (m->insns >= c->slice_end) {
        cca_leave(c, CCA_EXIT_SLICE);
    }
}

int cca_run(cca_core *c, uint64_t slice)
{
    cca_machine *m = c->m;
    struct cca_exit *x = &c->exit;
    x->reason = c->looped ? CCA_EXIT_LOOP : CCA_EXIT_NONE;
    x->engine_error = 0;
    if (!c->debug.held) c->slice_end = slice > CCA_NEVER - m->insns ? CCA_NEVER : m->insns + slice;
    if (!c->debug.held && m->turn_end < c->slice_end) c->slice_end = m->turn_end;
    c->debug.held = false;
    while (x->reason == CCA_EXIT_NONE) {
        int error = 0;
        if (c->flush_pending || c->ndrop || c->drop_all_pending) cca_apply_pending(c);
        if (cca_debug_enter(c)) {
            if (x->reason != CCA_EXIT_NONE) break;
            goto run; /* it has been looked at before the debugger stopped it */
        }
        if (m->gic || c->serror || c->vserror) {
            cca_irq_enter(c);
            cca_take_interrupts(c);
            if (x->reason != CCA_EXIT_NONE) break;
        }
        cca_update_deadline(c);
        if (m->insns >= c->due) {
            deadline_reached(c);
            if (x->reason != CCA_EXIT_NONE) break;
            cca_update_deadline(c);
        }
    run:
        c->fault_pending = false;
        c->stopped = false;
        c->block_insns = 0;
        enum cca_stop stop = engine_run(c->e, engine_pc(c->e), &error);
        if (c->watchpoint_pass) {
            c->watchpoint_pass = false;
            c->flush_pending = true;
        }
        if (cca_debug_after(c, stop)) {
            c->block_insns = 0;
            continue;
        }
        switch (stop) {
        case CCA_STOP_FAULT:
            cca_handle_fault(c);
            break;
        case CCA_STOP_REACHED:
            cca_give_back(c, engine_pc(c->e), true);
            break;
        case CCA_STOP_ABORTED:
            x->reason = CCA_EXIT_ABORTED;
            x->pc = engine_pc(c->e);
            x->el = (engine_pstate(c->e) >> 2) & 3;
            break;
        case CCA_STOP_ERROR:
            x->engine_error = error;
            cca_leave(c, CCA_EXIT_ENGINE);
            break;
        default:
            /* left by an exit, at the deadline or for maintenance; else nobody asked, and it is WFI */
            if (c->found) cca_watch_stopped(c);
            else if (x->reason == CCA_EXIT_NONE && !c->stopped && !c->ndrop && !c->drop_all_pending) waits(c);
            break;
        }
        c->block_insns = 0;
    }
    c->looped = false;
    return (int)x->reason;
}

int cca_resume4(cca_core *c, uint64_t slice, uint64_t x0, uint64_t x1, uint64_t x2, uint64_t x3)
{
    const uint64_t v[4] = {x0, x1, x2, x3};
    engine_set_xs(c->e, 0, 4, v);
    return cca_run(c, slice);
}

int cca_resume5(cca_core *c, uint64_t slice, uint64_t x0, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4)
{
    const uint64_t v[5] = {x0, x1, x2, x3, x4};
    engine_set_xs(c->e, 0, 5, v);
    return cca_run(c, slice);
}

void cca_get_x(cca_core *c, uint32_t first, uint32_t count, uint64_t *out)
{
    engine_get_xs(c->e, first, count, out);
}

void cca_set_x(cca_core *c, uint32_t first, uint32_t count, const uint64_t *values)
{
    engine_set_xs(c->e, first, count, values);
}

uint64_t cca_get_pc(cca_core *c)
{
    return engine_pc(c->e);
}

void cca_set_pc(cca_core *c, uint64_t pc)
{
    engine_set_pc(c->e, pc);
    c->debug.resume = 0; /* not the block it was stopped in */
}

uint64_t cca_get_sp(cca_core *c)
{
    return engine_sp(c->e);
}

void cca_set_sp(cca_core *c, uint64_t sp)
{
    engine_set_sp(c->e, sp);
}

uint32_t cca_get_pstate(cca_core *c)
{
    return engine_pstate(c->e);
}

void cca_set_pstate(cca_core *c, uint32_t pstate)
{
    engine_set_pstate(c->e, pstate);
}

uint64_t cca_get_sysreg(cca_core *c, uint32_t encoding)
{
    uint64_t value;
    if (cca_pmu_peek(c, encoding & 0xFFFF, &value)) return value;
    return cca_kept(c, encoding & 0xFFFF);
}

int cca_set_sysreg(cca_core *c, uint32_t encoding, uint64_t value)
{
    value = cca_keep(c, encoding & 0xFFFF, value);
    c->mmu_dirty = true;
    c->flush_pending = true;
    c->watchpoints_stale = true;
    cca_watch_stale(c);
    if (cca_pmu_poke(c, encoding & 0xFFFF, value)) return 0;
    return engine_set_sysreg(c->e, encoding & 0xFFFF, value) ? 0 : -1;
}

void cca_set_id(cca_core *c, uint32_t encoding, uint64_t value)
{
    c->id[encoding & 127] = value;
    if ((encoding & 127) == 0) engine_set_sysreg(c->e, CCA_SYSREG(3, 4, 0, 0, 0), value); /* VPIDR_EL2 */
}

uint64_t cca_engine_id(cca_core *c, uint32_t encoding)
{
    return engine_sysreg(c->e, encoding & 0xFFFF);
}

void cca_trap_wfi(cca_core *c, int on)
{
    c->trap_wfi = on != 0;
}

void cca_mmio_done(cca_core *c, uint64_t value)
{
    cca_finish_mmio(c, value);
}

void cca_set_solo(cca_core *c, int on)
{
    c->solo = on != 0;
}

int cca_set_pe(cca_core *c, uint32_t pe)
{
    cca_machine *m = c->m;
    if (pe >= GIC_MAX_PES || (m->gic && pe >= m->gic->config.npes)) return -1;
    if (c->cfg.pas == CCA_PAS_NS) return pe == c->cfg.pe ? 0 : -1;
    if (c->cfg.pas == CCA_PAS_SECURE && pe != c->cfg.pe) {
        cca_drop_lines(c);
        m->pes[pe].secure = c;
        m->pes[pe].edge = 0;
    }
    c->cfg.pe = pe;
    return 0;
}

void cca_flush(cca_core *c)
{
    c->flush_pending = true;
}

uint32_t cca_events(cca_core *c, struct cca_event *out, uint32_t max)
{
    uint32_t n = c->nevents < max ? c->nevents : max;
    memcpy(out, c->events, n * sizeof *out);
    c->nevents = 0;
    return n;
}

void cca_trace(cca_core *c, int on)
{
    c->trace = on != 0;
}

uint64_t cca_core_insns(cca_core *c)
{
    return c->own_insns;
}
