/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watchpoints (Arm ARM D2.10). The engine has the registers and no more: a page that an enabled one lies in is kept out
 * of its TLB, each access to it is looked at, and one that is not watched is let through alone.
 *
 * Linked watchpoints (WT = 1) and accesses whose address is not decoded (SVE) match nothing.
 */
#include "traps.h"

#define MDSCR_EL1 CCA_SYSREG(2, 0, 0, 2, 2)
#define MDSCR_KDE (1ull << 13)
#define MDSCR_MDE (1ull << 15)
#define PSTATE_D (1u << 9)
#define VA_BITS 0x00FFFFFFFFFFFFFFull

static void range_of(uint64_t value, uint64_t control, uint64_t *first, uint64_t *last)
{
    unsigned mask = (control >> 24) & 31, select = (control >> 5) & 0xFF, low = 0, high = 7;
    *first = 1;
    *last = 0;
    if (mask >= 3) {
        *first = value & ~((1ull << mask) - 1) & VA_BITS;
        *last = *first + ((1ull << mask) - 1);
        return;
    }
    if (mask || !select) return;
    if (value & 4) select &= 0xF;
    while (low < 8 && !((select >> low) & 1)) low++;
    while (high > low && !((select >> high) & 1)) high--;
    if (low == 8) return;
    *first = (value & ~3ull & VA_BITS) + low;
    *last = (value & ~3ull & VA_BITS) + high;
}

static void read_registers(struct cca_core *c)
{
    unsigned count = ((c->id[5 * 8] >> 20) & 15) + 1; /* ID_AA64DFR0_EL1.WRPs */
    bool on = engine_sysreg(c->e, MDSCR_EL1) & MDSCR_MDE;
    c->watchpoints_stale = false;
    c->nwatchpoints = 0;
    for (unsigned i = 0; on && i < count; i++) {
        struct cca_watchpoint *w = &c->watchpoints[c->nwatchpoints];
        w->control = engine_sysreg(c->e, CCA_SYSREG(2, 0, 0, i, 7));
        if (!(w->control & 1) || ((w->control >> 20) & 1)) continue;
        range_of(engine_sysreg(c->e, CCA_SYSREG(2, 0, 0, i, 6)), w->control, &w->first, &w->last);
        if (w->first <= w->last) c->nwatchpoints++;
    }
}

void cca_watchpoints_written(struct cca_core *c)
{
    c->watchpoints_stale = true;
    cca_flush_now(c);
}

bool cca_watchpoint_page(struct cca_core *c, uint64_t va)
{
    if (c->watchpoints_stale) read_registers(c);
    uint64_t page = va & VA_BITS & ~0xFFFull;
    for (unsigned i = 0; i < c->nwatchpoints; i++)
        if (c->watchpoints[i].first <= (page | 0xFFF) && c->watchpoints[i].last >= page) return true;
    return false;
}

/* Debug exceptions of `el` that go to `target` are enabled (Arm ARM D2.4). */
static bool enabled_from(struct cca_core *c, unsigned el, unsigned target)
{
    if (el != target) return el < target;
    return (engine_sysreg(c->e, MDSCR_EL1) & MDSCR_KDE) && !(engine_pstate(c->e) & PSTATE_D);
}

bool cca_watchpoint_hit(struct cca_core *c, const struct cca_ldst *d, unsigned el, uint64_t *address)
{
    if (c->watchpoints_stale) read_registers(c);
    if (!c->nwatchpoints || !d->addr_known || d->prefetch || !enabled_from(c, el, cca_debug_target(c, el))) return false;
    uint64_t start = d->dc_zva ? d->addr & ~63ull : d->addr, first = start & VA_BITS, last = first + d->bytes - 1;
    bool reads = !d->write || d->atomic;
    unsigned as = d->unpriv ? 0 : el;
    for (unsigned i = 0; i < c->nwatchpoints; i++) {
        const struct cca_watchpoint *w = &c->watchpoints[i];
        unsigned pac = (w->control >> 1) & 3, lsc = (w->control >> 3) & 3, ssc = (w->control >> 14) & 3;
        bool level = as == 0 ? pac & 2 : as == 1 ? pac & 1 : (w->control >> 13) & 1;
        bool state = ssc == 0 || (ssc == 2) == (c->cfg.pas == CCA_PAS_SECURE);
        bool direction = (reads && (lsc & 1)) || (d->write && (lsc & 2));
        if (!level || !state || !direction || w->first > last || w->last < first) continue;
        *address = w->first > first ? start + (w->first - first) : start;
        return true;
    }
    return false;
}

void cca_watchpoint_take(struct cca_core *c, const struct cca_ldst *d, unsigned el, uint64_t pc, uint64_t address)
{
    unsigned target = cca_debug_target(c, el);
    uint64_t esr = EC(el == target ? 0x35 : 0x34) | ESR_IL | ((uint64_t)d->write << 6) | 0x22;
    cca_take(c, target, pc, esr, true, address);
}

/* The access at `pc` is let through; what it brought into the TLB goes when the run ends. */
void cca_watchpoint_pass(struct cca_core *c, unsigned el, uint64_t pc)
{
    uint32_t insn;
    c->watchpoint_pass = true;
    if (!cca_read_insn(c, pc, (int)el, &insn) || !engine_stop_before(c->e, pc + 4, c->fetch_pa))
        cca_leave(c, CCA_EXIT_ENGINE);
}
