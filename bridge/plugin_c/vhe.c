/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * EL2 as a host (FEAT_VHE, Arm ARM D8.1.2, D13.1 "System register redirection"): which register a name means with
 * HCR_EL2.E2H set, and the registers that the engine holds in another form than their reader sees. The engine has the
 * EL2&0 regime and its TLB, but none of the names.
 */
#include "traps.h"

#define CPTR_TZ (1ull << 8)
#define CPTR_TCPAC (1ull << 31)
#define LOW(crn, crm, op2) CCA_SYSREG(0, 0, crn, crm, op2)

enum { ID_AA64MMFR1 = 7 * 8 + 1 };

static uint32_t with_op1(uint32_t encoding, unsigned op1)
{
    return (encoding & ~CCA_SYSREG(0, 7, 0, 0, 0)) | CCA_SYSREG(0, op1, 0, 0, 0);
}

/* The registers of EL1 that have a counterpart at EL2 with the same CRn, CRm and op2, or nearly. */
static bool has_counterpart(uint32_t low)
{
    switch (low) {
    case LOW(1, 0, 0):  /* SCTLR */
    case LOW(1, 0, 2):  /* CPACR */
    case LOW(1, 2, 0):  /* ZCR */
    case LOW(2, 0, 0):  /* TTBR0 */
    case LOW(2, 0, 1):  /* TTBR1 */
    case LOW(2, 0, 2):  /* TCR */
    case LOW(4, 0, 0):  /* SPSR */
    case LOW(4, 0, 1):  /* ELR */
    case LOW(5, 1, 0):  /* AFSR0 */
    case LOW(5, 1, 1):  /* AFSR1 */
    case LOW(5, 2, 0):  /* ESR */
    case LOW(6, 0, 0):  /* FAR */
    case LOW(10, 2, 0): /* MAIR */
    case LOW(10, 3, 0): /* AMAIR */
    case LOW(12, 0, 0): /* VBAR */
    case LOW(13, 0, 1): /* CONTEXTIDR */
    case LOW(14, 1, 0): /* CNTKCTL */
        return true;
    default:
        return false;
    }
}

static bool is_timer(uint32_t low)
{
    uint32_t group = low & ~7u;
    return (group == LOW(14, 2, 0) || group == LOW(14, 3, 0)) && (low & 7) <= 2;
}

uint32_t cca_vhe_register(const struct cca_core *c, uint32_t encoding, unsigned el)
{
    unsigned op1 = (encoding >> 11) & 7;
    uint32_t low = encoding & 0x7FF;
    bool host_el0 = el == 0 && c->host;
    if (el != 2 && !host_el0) return encoding;
    if (op1 == 3) {
        if (is_timer(low)) return with_op1(encoding, 4);
        if (low == LOW(14, 0, 2) || low == LOW(14, 0, 6)) return encoding - 1; /* CNTVCT: no offset, as CNTPCT */
    }
    if (el != 2) return encoding;
    if (op1 == 0 && has_counterpart(low)) return low == LOW(1, 0, 2) ? CPTR_EL2 : with_op1(encoding, 4);
    if (op1 == 5 && has_counterpart(low)) return with_op1(encoding, 0);
    if (op1 == 5 && is_timer(low)) return with_op1(encoding, 3);
    return encoding;
}

/* CPTR_EL2 as the engine looks at it, which is the format without E2H: ZEN is what it has a use for. */
static uint64_t engine_cptr(uint64_t cptr)
{
    return (cptr & CPTR_TCPAC) | ((cptr >> 16) & 1 ? 0 : CPTR_TZ);
}

static uint64_t keep_hcr(struct cca_core *c, uint64_t value)
{
    if (!((c->id[ID_AA64MMFR1] >> 8) & 15)) value &= ~HCR_E2H; /* RES0 without FEAT_VHE */
    value |= HCR_RW; /* EL1 is AArch64 only: RAO/WI */
    bool e2h = value & HCR_E2H;
    uint64_t changed = engine_sysreg(c->e, HCR_EL2) ^ value;
    c->hcr_beyond = value & (HCR_TERR | HCR_TEA | HCR_FWB | HCR_GPF);
    c->host = (value & HCR_HOST) == HCR_HOST;
    if (e2h != c->e2h) {
        uint64_t cptr = c->e2h ? c->cptr : engine_sysreg(c->e, CPTR_EL2);
        c->e2h = e2h;
        c->cptr = cptr;
        engine_set_sysreg(c->e, CPTR_EL2, e2h ? engine_cptr(cptr) : cptr);
    }
    /* the engine has its entries by regime; EL0 under TGE alone shares those of EL1&0, though it has stage 1 off */
    if ((changed & HCR_E2H) || (!e2h && (changed & HCR_TGE))) cca_flush_now(c);
    c->mmu_dirty = true;
    cca_watch_stale(c);
    cca_hcr_written(c, value);
    return value;
}

uint64_t cca_keep(struct cca_core *c, uint32_t encoding, uint64_t value)
{
    if (c->cfg.el != 2) return value;
    if (encoding == HCR_EL2) return keep_hcr(c, value);
    if (encoding == CPTR_EL2 && c->e2h) {
        c->cptr = value;
        return engine_cptr(value);
    }
    return value;
}

uint64_t cca_kept(struct cca_core *c, uint32_t encoding)
{
    uint64_t value = engine_sysreg(c->e, encoding);
    if (encoding == HCR_EL2) return value | c->hcr_beyond;
    return encoding == CPTR_EL2 && c->e2h ? c->cptr : value;
}
