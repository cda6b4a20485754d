/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The performance monitors (PMUv3p7, DDI 0487 D11) on virtual time: a cycle is an instruction that this context
 * retired. Counters are brought up to date when somebody looks, so that a PMU that nobody uses costs nothing; only
 * filters that tell exception levels apart need a look at each block, since ERET has no hook.
 * Without AArch32, PMCR_EL0.LC is RES1 and D is RES0: the cycle counter has 64 bits.
 */
#include "core.h"

#define MDCR_EL2 CCA_SYSREG(3, 4, 1, 1, 1)
#define MDCR_EL3 CCA_SYSREG(3, 6, 1, 3, 1)
#define PMCR CCA_SYSREG(3, 3, 9, 12, 0)
#define PMCNTENSET CCA_SYSREG(3, 3, 9, 12, 1)
#define PMCNTENCLR CCA_SYSREG(3, 3, 9, 12, 2)
#define PMOVSCLR CCA_SYSREG(3, 3, 9, 12, 3)
#define PMSWINC CCA_SYSREG(3, 3, 9, 12, 4)
#define PMSELR CCA_SYSREG(3, 3, 9, 12, 5)
#define PMCEID0 CCA_SYSREG(3, 3, 9, 12, 6)
#define PMCEID1 CCA_SYSREG(3, 3, 9, 12, 7)
#define PMCCNTR CCA_SYSREG(3, 3, 9, 13, 0)
#define PMXEVTYPER CCA_SYSREG(3, 3, 9, 13, 1)
#define PMXEVCNTR CCA_SYSREG(3, 3, 9, 13, 2)
#define PMUSERENR CCA_SYSREG(3, 3, 9, 14, 0)
#define PMOVSSET CCA_SYSREG(3, 3, 9, 14, 3)
#define PMINTENSET CCA_SYSREG(3, 0, 9, 14, 1)
#define PMINTENCLR CCA_SYSREG(3, 0, 9, 14, 2)
#define PMMIR CCA_SYSREG(3, 0, 9, 14, 6)
#define PMEVCNTR0 CCA_SYSREG(3, 3, 14, 8, 0)
#define PMEVTYPER0 CCA_SYSREG(3, 3, 14, 12, 0)

enum {
    CYCLES = 31, /* the cycle counter's bit and index */
    PMCR_E = 1 << 0,
    PMCR_P = 1 << 1,
    PMCR_C = 1 << 2,
    PMCR_DP = 1 << 5,
    PMCR_LC = 1 << 6,
    PMCR_LP = 1 << 7,
    PMCR_FZO = 1 << 9,
    USER_EN = 1 << 0,
    USER_SW = 1 << 1,
    USER_CR = 1 << 2,
    USER_ER = 1 << 3,
    MDCR_TPMCR = 1 << 5,
    MDCR_TPM = 1 << 6,
    MDCR_HPME = 1 << 7,
    MDCR_HPMD = 1 << 17,
    MDCR_HCCD = 1 << 23,
    MDCR_HLP = 1 << 26,
    MDCR_HPMFZO = 1 << 29,
    MDCR3_TPM = 1 << 6,
    SW_INCR = 0x00,
    INST_RETIRED = 0x08,
    CPU_CYCLES = 0x11,
    CHAIN = 0x1E,
};

#define TYPE_P (1u << 31)
#define TYPE_U (1u << 30)
#define TYPE_NSK (1u << 29)
#define TYPE_NSU (1u << 28)
#define TYPE_NSH (1u << 27)
#define TYPE_RLK (1u << 22)
#define TYPE_RLU (1u << 21)
#define TYPE_FILTERS (0xFDu << 24 | 0x7u << 20) /* P, U, NSK, NSU, NSH, M, SH, RLK, RLU, RLH */
#define TYPE_EVENT 0xFFFFu

static unsigned current_el(struct cca_core *c)
{
    return (engine_pstate(c->e) >> 2) & 3;
}

/* Event counters below this one belong to EL1 and EL0, those above to EL2. */
static unsigned hpmn(const struct cca_core *c)
{
    unsigned n = c->cfg.pmu_counters, reserved = c->pmu.mdcr & 31;
    return c->cfg.el == 2 && reserved < n ? reserved : n;
}

static uint32_t below(unsigned n)
{
    return (1u << n) - 1;
}

static bool is_el2s(const struct cca_core *c, unsigned i)
{
    return i != CYCLES && i >= hpmn(c);
}

static bool filtered(const struct cca_core *c, uint32_t type, unsigned el)
{
    bool realm = c->cfg.pas == CCA_PAS_REALM, ns = c->cfg.pas == CCA_PAS_NS;
    if (el == 2) return !(type & TYPE_NSH);
    if (el == 1) return !(type & TYPE_P) != !(type & (realm ? TYPE_RLK : ns ? TYPE_NSK : 0));
    return !(type & TYPE_U) != !(type & (realm ? TYPE_RLU : ns ? TYPE_NSU : 0));
}

/* Whether counter i counts its events at an exception level (CountPMUEvents, DDI 0487 J1). */
static bool counts(const struct cca_core *c, unsigned i, unsigned el)
{
    const struct cca_pmu *p = &c->pmu;
    bool own2 = is_el2s(c, i);
    if (!((p->enabled >> i) & 1) || !(own2 ? p->mdcr & MDCR_HPME : p->pmcr & PMCR_E)) return false;
    if (filtered(c, p->type[i], el)) return false;
    uint32_t first = below(hpmn(c)), second = below(c->cfg.pmu_counters) & ~first;
    bool frozen = own2 ? (p->mdcr & MDCR_HPMFZO) && (p->ovs & second) : (p->pmcr & PMCR_FZO) && (p->ovs & first);
    bool prohibited = el == 2 && !own2 && (p->mdcr & MDCR_HPMD);
    if (i != CYCLES) return !frozen && !prohibited;
    if ((frozen || prohibited) && (p->pmcr & PMCR_DP)) return false;
    return !(el == 2 && (p->mdcr & MDCR_HCCD));
}

static unsigned event(const struct cca_core *c, unsigned i)
{
    return i == CYCLES ? CPU_CYCLES : c->pmu.type[i] & TYPE_EVENT;
}

/* Counters that go on with each instruction at an exception level. */
static uint32_t running(const struct cca_core *c, unsigned el)
{
    uint32_t mask = 0;
    for (uint32_t rest = c->pmu.enabled; rest; rest &= rest - 1) {
        unsigned i = (unsigned)__builtin_ctz(rest), what = event(c, i);
        if ((what == INST_RETIRED || what == CPU_CYCLES) && counts(c, i, el)) mask |= 1u << i;
    }
    return mask;
}

static uint32_t chained(const struct cca_core *c, unsigned el)
{
    uint32_t mask = 0;
    for (uint32_t rest = c->pmu.enabled & 0x2AAAAAAA; rest; rest &= rest - 1) {
        unsigned i = (unsigned)__builtin_ctz(rest);
        if (event(c, i) == CHAIN && counts(c, i, el)) mask |= 1u << i;
    }
    return mask;
}

static bool is_wide(const struct cca_core *c, unsigned i)
{
    return i == CYCLES || (is_el2s(c, i) ? c->pmu.mdcr & MDCR_HLP : c->pmu.pmcr & PMCR_LP);
}

/* Events until counter i overflows; at most CCA_NEVER. */
static uint64_t room(const struct cca_core *c, unsigned i)
{
    uint64_t count = c->pmu.count[i];
    if (!is_wide(c, i)) return (1ull << 32) - (uint32_t)count;
    return count ? 0 - count : CCA_NEVER;
}

static void add(struct cca_core *c, unsigned i, uint64_t events)
{
    struct cca_pmu *p = &c->pmu;
    p->count[i] += events;
    if (is_wide(c, i) ? p->count[i] != 0 : (uint32_t)p->count[i] != 0) return;
    p->ovs |= 1u << i;
    if (!(i & 1) && !is_wide(c, i) && is_el2s(c, i) == is_el2s(c, i + 1) && ((chained(c, p->el) >> (i + 1)) & 1))
        add(c, i + 1, 1);
}

/* From overflow to overflow, since one may freeze or chain. */
static void sync(struct cca_core *c)
{
    struct cca_pmu *p = &c->pmu;
    uint64_t now = c->own_insns - (c->m->insns - cca_now(c));
    while (p->mark < now) {
        uint32_t mask = running(c, p->el);
        uint64_t step = now - p->mark;
        for (uint32_t rest = mask; rest; rest &= rest - 1) {
            uint64_t left = room(c, (unsigned)__builtin_ctz(rest));
            if (left < step) step = left;
        }
        for (uint32_t rest = mask; rest; rest &= rest - 1) add(c, (unsigned)__builtin_ctz(rest), step);
        p->mark += step;
    }
}

static uint32_t pending(const struct cca_core *c)
{
    const struct cca_pmu *p = &c->pmu;
    uint32_t first = below(hpmn(c)) | 1u << CYCLES;
    return p->ovs & p->inten & ((p->pmcr & PMCR_E ? first : 0) | (p->mdcr & MDCR_HPME ? ~first : 0));
}

bool cca_pmu_fires(struct cca_core *c)
{
    return c->cfg.pmu == CCA_PMU_PRESENT && pending(c) && !c->pmu.seen;
}

uint64_t cca_pmu_deadline(struct cca_core *c, uint64_t deadline)
{
    struct cca_pmu *p = &c->pmu;
    if (c->cfg.pmu != CCA_PMU_PRESENT || !c->cfg.irq_exits || !p->inten) return deadline;
    sync(c);
    if (cca_pmu_fires(c)) return 0;
    for (uint32_t rest = running(c, p->el); rest; rest &= rest - 1) {
        uint64_t left = room(c, (unsigned)__builtin_ctz(rest));
        if (left > CCA_NEVER / 2) continue;
        /* mark counts own instructions; it may be behind by the rest of the block that runs */
        uint64_t when = c->m->insns - c->own_insns + p->mark + left;
        if (when < deadline) deadline = when;
    }
    return deadline;
}

void cca_pmu_block(struct cca_core *c)
{
    struct cca_pmu *p = &c->pmu;
    unsigned el = current_el(c);
    c->block_insns = 0; /* the last block has run to its end */
    if (el == p->el) return;
    sync(c);
    p->el = el;
    cca_update_deadline(c);
}

/* After a change: does what counts depend on the exception level (a freeze later on only ends that)? */
static void settle(struct cca_core *c)
{
    struct cca_pmu *p = &c->pmu;
    uint32_t run = running(c, 0), chain = chained(c, 0);
    p->by_el = false;
    for (unsigned el = 1; el <= c->cfg.el; el++) p->by_el |= running(c, el) != run || chained(c, el) != chain;
    if (!pending(c)) p->seen = false;
    cca_update_deadline(c);
}

/* PMEVCNTR<n> and PMEVTYPER<n> by number; false for other registers. */
static bool indexed(uint32_t encoding, bool *type, unsigned *n)
{
    if ((encoding & ~0x3Fu) != (PMEVCNTR0 & ~0x3Fu)) return false;
    *type = encoding & 0x20;
    *n = encoding & 31;
    return *type || *n != 31;
}

static bool is_pmu(uint32_t encoding)
{
    bool type;
    unsigned n;
    switch (encoding) {
    case PMCCNTR:
    case PMXEVTYPER:
    case PMXEVCNTR:
    case PMUSERENR:
    case PMOVSSET:
    case PMINTENSET:
    case PMINTENCLR:
    case PMMIR: return true;
    default: return (encoding & ~7u) == PMCR || indexed(encoding, &type, &n);
    }
}

/* PMUSERENR_EL0, and for the host's guests MDCR_EL2: 0, or the level that the access traps to. */
static unsigned trapped_to(const struct cca_core *c, uint32_t encoding, unsigned el, bool read)
{
    bool type;
    unsigned n, needs = USER_EN;
    if (encoding == PMSWINC) needs |= USER_SW;
    else if (encoding == PMSELR) needs |= USER_ER;
    else if (encoding == PMCCNTR && read) needs |= USER_CR;
    else if (read && (encoding == PMXEVCNTR || (indexed(encoding, &type, &n) && !type))) needs |= USER_ER;
    if (el == 0 && encoding != PMUSERENR && !(c->pmu.userenr & needs)) return 1;
    if (el == 2 || c->cfg.el != 2) return 0;
    return (c->pmu.mdcr & MDCR_TPM) || (encoding == PMCR && (c->pmu.mdcr & MDCR_TPMCR)) ? 2 : 0;
}

unsigned cca_pmu_trap(const struct cca_core *c, uint32_t encoding, unsigned el, bool read)
{
    return c->cfg.pmu != CCA_PMU_ABSENT && is_pmu(encoding) ? trapped_to(c, encoding, el, read) : 0;
}

static bool has_mdcr(const struct cca_core *c, uint32_t encoding)
{
    return encoding == MDCR_EL2 && c->cfg.pmu == CCA_PMU_PRESENT && c->cfg.el == 2;
}

/* The engine knows TPM and not TPMCR. It is asked only about accesses that trap, so one may stand for the other. */
static void write_mdcr(struct cca_core *c, uint64_t value)
{
    c->pmu.mdcr = (uint32_t)value;
    engine_set_sysreg(c->e, MDCR_EL2, c->pmu.mdcr | (value & MDCR_TPMCR ? MDCR_TPM : 0));
}

static uint64_t ceid(const struct cca_core *c, uint32_t encoding)
{
    uint64_t chain = c->cfg.pmu_counters >= 2 ? 1ull << CHAIN : 0;
    if (encoding == PMCEID0) return 1ull << SW_INCR | 1ull << INST_RETIRED | 1ull << CPU_CYCLES | chain;
    return 1ull << (0x23 - 32) | 1ull << (0x24 - 32) | 1ull << (0x3C - 32); /* STALL*: nothing ever stalls */
}

static bool read_register(struct cca_core *c, uint32_t encoding, unsigned el, uint64_t *out)
{
    const struct cca_pmu *p = &c->pmu;
    unsigned there = el == 2 ? c->cfg.pmu_counters : hpmn(c), n;
    uint32_t mask = below(there) | 1u << CYCLES;
    bool type;
    *out = 0;
    switch (encoding) {
    case PMCR: *out = p->pmcr | there << 11; return true;
    case PMCNTENSET:
    case PMCNTENCLR: *out = p->enabled & mask; return true;
    case PMINTENSET:
    case PMINTENCLR: *out = p->inten & mask; return true;
    case PMOVSSET:
    case PMOVSCLR: *out = p->ovs & mask; return true;
    case PMSELR: *out = p->selected; return true;
    case PMCEID0:
    case PMCEID1: *out = ceid(c, encoding); return true;
    case PMCCNTR: *out = p->count[CYCLES]; return true;
    case PMUSERENR: *out = p->userenr; return true;
    case PMMIR: return true;
    case PMXEVTYPER: type = true, n = p->selected; break;
    case PMXEVCNTR: type = false, n = p->selected; break;
    default:
        if (!indexed(encoding, &type, &n)) return false;
    }
    /* CONSTRAINED UNPREDICTABLE where there is no such counter: RAZ/WI */
    if ((mask >> n) & 1 && (type || n != CYCLES)) *out = type ? p->type[n] : p->count[n];
    return true;
}

static void software_increment(struct cca_core *c, uint32_t mask)
{
    for (uint32_t rest = mask & c->pmu.enabled & ~(1u << CYCLES); rest; rest &= rest - 1) {
        unsigned i = (unsigned)__builtin_ctz(rest);
        if (event(c, i) == SW_INCR && counts(c, i, c->pmu.el)) add(c, i, 1);
    }
}

static void write_pmcr(struct cca_core *c, uint64_t value, unsigned there)
{
    struct cca_pmu *p = &c->pmu;
    p->pmcr = PMCR_LC | ((uint32_t)value & (PMCR_E | PMCR_DP | PMCR_LP | PMCR_FZO));
    if (value & PMCR_P)
        for (unsigned i = 0; i < there; i++) p->count[i] = 0;
    if (value & PMCR_C) p->count[CYCLES] = 0;
}

static bool write_register(struct cca_core *c, uint32_t encoding, unsigned el, uint64_t value)
{
    struct cca_pmu *p = &c->pmu;
    unsigned there = el == 2 ? c->cfg.pmu_counters : hpmn(c), n;
    uint32_t mask = below(there) | 1u << CYCLES, bits = (uint32_t)value & mask;
    bool type;
    switch (encoding) {
    case PMCR: write_pmcr(c, value, there); return true;
    case PMCNTENSET: p->enabled |= bits; return true;
    case PMCNTENCLR: p->enabled &= ~bits; return true;
    case PMINTENSET: p->inten |= bits; return true;
    case PMINTENCLR: p->inten &= ~bits; return true;
    case PMOVSSET: p->ovs |= bits; return true;
    case PMOVSCLR: p->ovs &= ~bits; return true;
    case PMSWINC: software_increment(c, bits); return true;
    case PMSELR: p->selected = value & 31; return true;
    case PMCCNTR: p->count[CYCLES] = value; return true;
    case PMUSERENR: p->userenr = value & 15; return true;
    case PMXEVTYPER: type = true, n = p->selected; break;
    case PMXEVCNTR: type = false, n = p->selected; break;
    default:
        if (!indexed(encoding, &type, &n)) return false; /* PMCEID0, PMCEID1, PMMIR: read-only */
    }
    if (!((mask >> n) & 1)) return true;
    if (type) p->type[n] = (uint32_t)value & (n == CYCLES ? TYPE_FILTERS : TYPE_FILTERS | TYPE_EVENT);
    else if (n != CYCLES) p->count[n] = value;
    return true;
}

/* What was counted so far was counted at the old setting. */
static void catch_up(struct cca_core *c)
{
    sync(c);
    c->pmu.el = current_el(c);
}

bool cca_pmu_sysreg(struct cca_core *c, uint32_t encoding, unsigned el, bool read, uint64_t value, uint64_t *out)
{
    if (has_mdcr(c, encoding)) return read ? cca_pmu_peek(c, encoding, out) : cca_pmu_poke(c, encoding, value);
    if (!is_pmu(encoding) || c->cfg.pmu == CCA_PMU_ABSENT || cca_pmu_trap(c, encoding, el, read)) return false;
    if (read ? encoding == PMSWINC : encoding == PMUSERENR && el == 0) return false;
    *out = 0;
    if (c->cfg.pmu == CCA_PMU_TRAPPED) return true; /* MDCR_EL2.{TPM, TPMCR}: the RMM answers RAZ/WI */
    catch_up(c);
    if (read) return read_register(c, encoding, el, out);
    if (!write_register(c, encoding, el, value)) return false;
    settle(c);
    return true;
}

bool cca_pmu_peek(struct cca_core *c, uint32_t encoding, uint64_t *out)
{
    if (has_mdcr(c, encoding)) {
        *out = c->pmu.mdcr;
        return true;
    }
    if (!is_pmu(encoding)) return false;
    *out = 0;
    if (c->cfg.pmu != CCA_PMU_PRESENT) return true; /* never the engine's own, which run on host time */
    catch_up(c);
    read_register(c, encoding, 2, out);
    return true;
}

bool cca_pmu_poke(struct cca_core *c, uint32_t encoding, uint64_t value)
{
    bool mdcr = has_mdcr(c, encoding);
    if (!mdcr && !is_pmu(encoding)) return false;
    if (c->cfg.pmu != CCA_PMU_PRESENT) return true;
    catch_up(c);
    if (mdcr) write_mdcr(c, value);
    else write_register(c, encoding, 2, value);
    settle(c);
    return true;
}

void cca_pmu_reset(struct cca_core *c)
{
    struct cca_pmu *p = &c->pmu;
    if (c->cfg.pmu_counters > CYCLES) c->cfg.pmu_counters = CYCLES;
    p->pmcr = PMCR_LC;
    p->el = c->cfg.el;
    if (has_mdcr(c, MDCR_EL2)) {
        write_mdcr(c, c->cfg.pmu_counters);
    } else if (c->cfg.pmu == CCA_PMU_ABSENT) {
        /* the engine has a PMU: what it traps to an EL3 that is not there is undefined (exception.c) */
        engine_set_sysreg(c->e, MDCR_EL3, MDCR3_TPM);
        engine_set_sysreg(c->e, PMUSERENR, USER_EN);
    }
}

int cca_pmu_overflow(cca_core *c)
{
    if (c->cfg.pmu != CCA_PMU_PRESENT) return 0;
    sync(c);
    return (c->pmu.pmcr & PMCR_E) && (c->pmu.ovs & c->pmu.inten & c->pmu.enabled);
}
