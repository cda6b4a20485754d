/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entering RECs and answering what they come out for. */
#include "psci.h"
#include "vmm.h"

#define ISS_ISV (1UL << 24)
#define ISS_SAS(esr) ((esr) >> 22 & 3)
#define ISS_WNR (1UL << 6)

/* How often a realm may come out for one and the same page while no other REC could change anything. */
#define STUCK_LIMIT 8

/* How often a REC or a realm went on or off. */
static uint64_t changes;

void realm_stop(struct vmm_realm *realm, int code)
{
    changes++;
    realm->done = 1;
    realm->exit_code = code;
}

/* ---- faults ---- */

static int others_on(const struct vmm_realm *realm, const struct vmm_rec *rec)
{
    for (uint32_t i = 0; i < realm->info->recs; i++)
        if (&realm->recs[i] != rec && realm->recs[i].on)
            return 1;
    return 0;
}

/* Nothing that the host may do mends this fault: only another REC can, by changing RIPAS. */
static int stuck(struct vmm_realm *realm, const struct vmm_rec *rec, uint64_t ipa)
{
    if (realm->stuck_ipa != ipa) {
        realm->stuck_ipa = ipa;
        realm->stuck_exits = 0;
    }
    realm->stuck_exits++;
    if (realm->stuck_exits >= STUCK_LIMIT && !others_on(realm, rec)) {
        print("host: realm %u is stuck: every access to IPA 0x%lx exits\n", realm->index, ipa);
        realm_stop(realm, VMM_STUCK);
    }
    return 0;
}

/* The machine file wants the page gone, and the realm reaches for it. */
static int evicted(struct vmm_realm *realm, uint64_t ipa)
{
    print("host: realm %u reaches for IPA 0x%lx, which was evicted\n", realm->index, ipa);
    realm_stop(realm, VMM_STUCK);
    return 0;
}

static int protected_fault(struct vmm_realm *realm, const struct vmm_rec *rec, uint64_t ipa)
{
    if (behaviour_keeps(realm, ipa))
        return evicted(realm, ipa);
    return page_supply(realm, ipa) || stuck(realm, rec, ipa);
}

static int emulate(struct vmm_realm *realm, struct rmi_rec_run *run, uint64_t offset)
{
    uint64_t esr = run->exit.esr;
    realm->mmio++;
    run->enter.flags = RMI_REC_ENTER_FLAG_EMUL_MMIO;
    run->enter.gprs[0] = 0;
    if (esr & ISS_WNR) {
        char byte = (char)run->exit.gprs[0];
        if (offset == PL011_DR)
            realm_puts(realm, &byte, 1);
    } else if (offset == PL011_FR) {
        run->enter.gprs[0] = PL011_FR_TXFE | PL011_FR_RXFE;
    }
    return 1;
}

/* An access to a device, whether there is one or not. */
static int mmio(struct vmm_realm *realm, struct vmm_rec *rec, uint64_t ipa)
{
    struct rmi_rec_run *run = rec->run;
    uint64_t device = ipa & ~realm->shared_bit;
    if (behave(realm, CCAB_BEHAVE_IGNORE_MMIO, device))
        return stuck(realm, rec, ipa);
    if (device == CCAB_UART_IPA && run->exit.esr & ISS_ISV && !behave(realm, CCAB_BEHAVE_INJECT_SEA, device))
        return emulate(realm, run, run->exit.far & 0xfff);
    run->enter.flags = RMI_REC_ENTER_FLAG_INJECT_SEA;
    return 1;
}

static int unprotected_fault(struct vmm_realm *realm, struct vmm_rec *rec, uint64_t ipa)
{
    if (behaviour_keeps(realm, ipa))
        return evicted(realm, ipa);
    return page_share(realm, ipa) || mmio(realm, rec, ipa);
}

static int sync_exit(struct vmm_realm *realm, struct vmm_rec *rec)
{
    struct rmi_rec_run *run = rec->run;
    uint64_t ipa = (run->exit.hpfar & ~0xfUL) << 8;
    switch (ESR_EC(run->exit.esr)) {
    case EC_DABORT_LOWER:
    case EC_IABORT_LOWER:
        realm->faults++;
        if (ipa & realm->shared_bit)
            return unprotected_fault(realm, rec, ipa);
        return protected_fault(realm, rec, ipa);
    case EC_WFX:
        return 0;
    case EC_SYSREG:
        /* A write to an SGI register: this host has no distributor that would deliver it. */
        return 1;
    default:
        print("host: realm %u: exit with ESR 0x%lx is not expected\n", realm->index, run->exit.esr);
        realm_stop(realm, VMM_STUCK);
        return 0;
    }
}

/* ---- PSCI ---- */

static struct vmm_rec *rec_by_mpidr(struct vmm_realm *realm, uint64_t mpidr)
{
    uint64_t index = (mpidr & 0xf) | (mpidr >> 8 & 0xff) << 4 | (mpidr >> 16 & 0xff) << 12 | (mpidr >> 32 & 0xff) << 20;
    return index < realm->info->recs ? &realm->recs[index] : 0;
}

/* The REC is off, unless another PE's REC has turned it on again since it came out. */
static void off(struct vmm_realm *realm, struct vmm_rec *rec)
{
    changes++;
    rec->on = rec->restart;
    timers_reset(rec);
    rec->restart = 0;
    if (!rec->on && !others_on(realm, rec)) {
        print("host: realm %u: its last REC is off\n", realm->index);
        realm_stop(realm, VMM_STUCK);
    }
}

static int cpu_on(struct vmm_realm *realm, struct vmm_rec *rec, struct vmm_rec *target)
{
    if (behave(realm, CCAB_BEHAVE_DENY_CPU_ON, (uint64_t)(target - realm->recs))) {
        /* INPUT where the target was on already: the caller is told so, and not that it was denied. */
        uint64_t status = rmi_psci_complete(rec->rec, target->rec, (uint64_t)PSCI_DENIED);
        if (status != RMI_SUCCESS && RMI_STATUS(status) != RMI_ERROR_INPUT)
            vmm_fail("RMI_PSCI_COMPLETE", status);
        return 1;
    }
    must("RMI_PSCI_COMPLETE", rmi_psci_complete(rec->rec, target->rec, PSCI_SUCCESS));
    changes++;
    target->restart = vmm_pes > 1 && target->on;
    target->on = 1;
    return 1;
}

static int psci_exit(struct vmm_realm *realm, struct vmm_rec *rec)
{
    const uint64_t *gprs = rec->run->exit.gprs;
    struct vmm_rec *target;
    switch (gprs[0]) {
    case SMC_PSCI_CPU_OFF:
        off(realm, rec);
        return 0;
    case SMC_PSCI_CPU_ON:
    case SMC_PSCI_CPU_ON_32:
    case SMC_PSCI_AFFINITY_INFO:
    case SMC_PSCI_AFFINITY_INFO_32:
        target = rec_by_mpidr(realm, gprs[1]);
        if (!target) {
            print("host: realm %u: PSCI names MPIDR 0x%lx, there is no such REC\n", realm->index, gprs[1]);
            realm_stop(realm, VMM_STUCK);
            return 0;
        }
        if (gprs[0] == SMC_PSCI_CPU_ON || gprs[0] == SMC_PSCI_CPU_ON_32)
            return cpu_on(realm, rec, target);
        must("RMI_PSCI_COMPLETE", rmi_psci_complete(rec->rec, target->rec, PSCI_SUCCESS));
        return 1;
    case SMC_PSCI_SYSTEM_OFF:
        realm_stop(realm, 0);
        return 0;
    case SMC_PSCI_SYSTEM_RESET:
        print("host: realm %u asks for a reset: it ends here\n", realm->index);
        realm_stop(realm, 0);
        return 0;
    default: /* CPU_SUSPEND: resumes at once */
        return 0;
    }
}

/* ---- RIPAS ---- */

__attribute__((weak)) void before_set_ripas(struct vmm_realm *realm, const struct vmm_rec *rec, uint64_t base,
                                            uint64_t top)
{
    (void)realm, (void)rec, (void)base, (void)top;
}

static int ripas_exit(struct vmm_realm *realm, struct vmm_rec *rec)
{
    const struct rmi_rec_exit *exit = &rec->run->exit;
    uint64_t base = exit->ripas_base;
    uint64_t top = exit->ripas_top;
    realm->ripas_changes++;
    before_set_ripas(realm, rec, base, top);
    if (!pages_can_change(realm, rec))
        return 1;
    if (behave(realm, CCAB_BEHAVE_REJECT_RIPAS, base)) {
        rec->run->enter.flags = RMI_REC_ENTER_FLAG_RIPAS_RESPONSE;
        return 1;
    }
    const struct ccab_behaviour *partial = behave(realm, CCAB_BEHAVE_PARTIAL_RIPAS, base);
    if (partial && partial->argument < (top - base) / GRANULE)
        top = base + partial->argument * GRANULE;
    pages_set_ripas(realm, rec, top);
    return 1;
}

/* ---- the loop ---- */

/* How often a REC may come out before the next has its turn. */
#define TURN 64

#define INDEX_SYSTEM_OFF 1 /* of RMI_ERROR_REALM from REC_ENTER (rmm-abi.md §3.10) */

static int answer(struct vmm_realm *realm, struct vmm_rec *rec)
{
    struct rmi_rec_run *run = rec->run;
    realm->entries++;
    run->enter.flags = 0;
    behaviour_evict(realm);
    timers_update(realm, rec);
    switch (run->exit.exit_reason) {
    case RMI_EXIT_SYNC:
        return sync_exit(realm, rec);
    case RMI_EXIT_IRQ:
        realm->pmu_exits += run->exit.pmu_ovf_status == RMI_PMU_OVERFLOW_ACTIVE;
        return 1;
    case RMI_EXIT_FIQ:
        realm->fiq_exits++;
        return 1;
    case RMI_EXIT_PSCI:
        return psci_exit(realm, rec);
    case RMI_EXIT_RIPAS_CHANGE:
        return ripas_exit(realm, rec);
    case RMI_EXIT_HOST_CALL:
        return hostcall(realm, run);
    default:
        print("host: realm %u: exit reason %lu\n", realm->index, run->exit.exit_reason);
        realm_stop(realm, VMM_STUCK);
        return 0;
    }
}

int rec_step(struct vmm_realm *realm, struct vmm_rec *rec, uint64_t flags)
{
    rec->run->enter.flags |= flags | (timers_delayed(rec) ? RMI_REC_ENTER_FLAG_TRAP_WFI : 0);
    uint64_t status = rmi_rec_enter(rec->rec, (uint64_t)rec->run);
    vmm_lock();
    int on = 0;
    if (status == RMI_SUCCESS)
        on = answer(realm, rec);
    else if (vmm_pes > 1 && RMI_STATUS(status) == RMI_ERROR_REC)
        off(realm, rec); /* CPU_ON came while the REC was on, and it went off later */
    else if (vmm_pes == 1 || RMI_STATUS(status) != RMI_ERROR_REALM || RMI_INDEX(status) != INDEX_SYSTEM_OFF)
        vmm_fail("RMI_REC_ENTER", status);
    vmm_unlock();
    return on;
}

/* The RECs that one PE runs. */
struct share {
    struct vmm_realm *realms;
    uint32_t count;
    uint32_t pe, pes;
    uint64_t seen; /* changes when these were counted: */
    uint64_t on;   /* RECs that are on */
    uint64_t own;  /* of these, RECs of this PE */
};

static void recount(struct share *share)
{
    share->seen = changes;
    share->on = share->own = 0;
    for (uint32_t i = 0; i < share->count; i++) {
        const struct vmm_realm *realm = &share->realms[i];
        for (uint32_t j = 0; !realm->done && j < realm->info->recs; j++) {
            share->on += realm->recs[j].on;
            share->own += realm->recs[j].on && j % share->pes == share->pe;
        }
    }
}

/* Enters a REC of the share; true while it should go on. */
static int step(struct share *share, struct vmm_realm *realm, struct vmm_rec *rec)
{
    vmm_lock();
    int runnable = !realm->done && rec->on;
    if (share->seen != changes)
        recount(share);
    vmm_unlock();
    /* Alone, a REC may sleep until its timer; among others it must not keep the PE. */
    return runnable && rec_step(realm, rec, share->own > 1 ? RMI_REC_ENTER_FLAG_TRAP_WFI : 0);
}

void realms_run_on(struct vmm_realm *realms, uint32_t count, uint32_t pe, uint32_t pes)
{
    struct share share = {realms, count, pe, pes, 0, 0, 0};
    for (;;) {
        vmm_lock();
        recount(&share);
        vmm_unlock();
        if (!share.on)
            return;
        /* Another PE may turn a REC of this one on; until then the lock is left to it. */
        while (!share.own && __atomic_load_n(&changes, __ATOMIC_RELAXED) == share.seen)
            __asm__ volatile("wfe" ::: "memory");
        for (uint32_t i = 0; i < count; i++)
            for (uint32_t j = pe; j < realms[i].info->recs; j += pes)
                for (unsigned left = TURN; left && step(&share, &realms[i], &realms[i].recs[j]); left--)
                    ;
    }
}
