/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A REC's timers as virtual interrupts: the RMM exits when one is asserted, the host lists it (rmm-abi.md §7.3, §7.5).
 * There is no distributor behind it: both PPIs count as enabled, at one priority. */
#include "vmm.h"

#define LR_STATE (3UL << 62)
#define LR_PENDING (1UL << 62)
#define LR_GROUP1 (1UL << 60)
#define LR_PRIORITY(priority) ((uint64_t)(priority) << 48)
#define LR_EOI (1UL << 41) /* the end of a level interrupt: whether it is still asserted must be looked at */
#define LR_VINTID 0xffffffffUL
#define LRS 16

#define CTL_FIRES 5UL /* ENABLE, not IMASK, ISTATUS */
#define CTL_BITS 7UL

static const uint32_t intids[VMM_TIMERS] = {27, 30}; /* CNTV, CNTP (Arm BSA) */

static uint64_t *list_entry(uint64_t *lrs, uint32_t intid)
{
    for (unsigned i = 0; i < LRS; i++)
        if (lrs[i] & LR_STATE && (lrs[i] & LR_VINTID) == intid)
            return &lrs[i];
    return 0;
}

/* As many as both need, or the only one that the RMM offers. */
static unsigned usable(void)
{
    static unsigned count;
    uint64_t features;
    if (!count) {
        must("RMI_FEATURES", rmi_features(0, &features));
        count = features & RMI_FEATURE0_GICV3_NUM_LRS_MASK ? VMM_TIMERS : 1;
    }
    return count;
}

static int list(struct vmm_rec *rec, struct vmm_timer *timer, uint32_t intid)
{
    uint64_t *lrs = rec->run->enter.gicv3_lrs;
    for (unsigned i = 0; i < usable(); i++) {
        if (lrs[i] & LR_STATE)
            continue;
        lrs[i] = LR_PENDING | LR_GROUP1 | LR_PRIORITY(0xa0) | LR_EOI | intid;
        timer->listed = 1;
        return 1;
    }
    return 0;
}

static void look_at(struct vmm_realm *realm, struct vmm_rec *rec, unsigned n, uint64_t control)
{
    struct vmm_timer *timer = &rec->timers[n];
    uint32_t intid = intids[n];
    int fires = (control & CTL_BITS) == CTL_FIRES;
    int listed = list_entry(rec->run->enter.gicv3_lrs, intid) != 0;
    if (fires && !timer->fires) {
        const struct ccab_behaviour *delay = behave(realm, CCAB_BEHAVE_DELAY_INTERRUPT, intid);
        timer->delay = delay ? delay->argument : 0;
    } else if (timer->delay) {
        timer->delay--;
    }
    if (!fires)
        timer->delay = 0;
    timer->fires = (uint64_t)fires;
    if (fires && !listed && !timer->delay)
        list(rec, timer, intid);
    /* Once the realm has done with one that the timer has caused. */
    if (!fires && !listed && timer->listed) {
        timer->listed = 0;
        if (behave(realm, CCAB_BEHAVE_DUPLICATE_INTERRUPT, intid) && list(rec, timer, intid))
            timer->listed = 0;
    }
}

void timers_update(struct vmm_realm *realm, struct vmm_rec *rec)
{
    struct rmi_rec_run *run = rec->run;
    /* A REC that exits before it ran says nothing (rmm-abi.md §4.6): what was listed still is. */
    if (!(run->exit.gicv3_vmcr | run->exit.cntp_ctl | run->exit.cntp_cval | run->exit.cntv_ctl | run->exit.cntv_cval))
        return;
    for (unsigned i = 0; i < LRS; i++)
        run->enter.gicv3_lrs[i] = run->exit.gicv3_lrs[i] & LR_STATE ? run->exit.gicv3_lrs[i] : 0;
    look_at(realm, rec, 0, run->exit.cntv_ctl);
    look_at(realm, rec, 1, run->exit.cntp_ctl);
}

int timers_delayed(const struct vmm_rec *rec)
{
    return rec->timers[0].delay || rec->timers[1].delay;
}

void timers_reset(struct vmm_rec *rec)
{
    memset(rec->timers, 0, sizeof rec->timers);
    memset(rec->run->enter.gicv3_lrs, 0, sizeof rec->run->enter.gicv3_lrs);
}
