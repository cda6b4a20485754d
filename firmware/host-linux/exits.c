/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entering the REC and answering what it comes out for. */
#include "linux.h"
#include "psci.h"

#define ISS_ISV (1UL << 24)
#define ISS_SIZE(esr) (1U << ((esr) >> 22 & 3))
#define ISS_WNR (1UL << 6)

struct device {
    uint64_t base, size; /* IPA without the shared bit */
    uint64_t (*read)(uint64_t offset, unsigned size);
    void (*write)(uint64_t offset, unsigned size, uint64_t value);
};

static const struct device devices[] = {
    {CCAB_LINUX_UART_IPA, 0x1000, uart_read, uart_write},
    {CCAB_LINUX_GICD_IPA, 0x10000, gicd_read, gicd_write},
    {CCAB_LINUX_GICR_IPA, 0x20000, gicr_read, gicr_write},
};

void realm_stop(struct vmm_realm *realm, int code)
{
    realm->done = 1;
    realm->exit_code = code;
}

static void emulate(struct vmm_realm *realm, struct rmi_rec_run *run, const struct device *device, uint64_t offset)
{
    uint64_t esr = run->exit.esr;
    unsigned size = ISS_SIZE(esr);
    realm->mmio++;
    run->enter.flags = RMI_REC_ENTER_FLAG_EMUL_MMIO;
    run->enter.gprs[0] = 0;
    if (esr & ISS_WNR)
        device->write(offset, size, size == 8 ? run->exit.gprs[0] : run->exit.gprs[0] & ((1UL << 8 * size) - 1));
    else
        run->enter.gprs[0] = device->read(offset, size);
}

static void unprotected_abort(struct vmm_realm *realm, struct rmi_rec_run *run, uint64_t ipa)
{
    uint64_t at = (ipa & ~realm->shared_bit) + (run->exit.far & (GRANULE - 1));
    for (unsigned i = 0; i < sizeof devices / sizeof *devices; i++) {
        uint64_t offset = at - devices[i].base;
        if (offset < devices[i].size && run->exit.esr & ISS_ISV && offset % ISS_SIZE(run->exit.esr) == 0) {
            emulate(realm, run, &devices[i], offset);
            return;
        }
    }
    if (page_share(realm, ipa))
        realm->faults++;
    else
        run->enter.flags = RMI_REC_ENTER_FLAG_INJECT_SEA;
}

static void stuck(struct vmm_realm *realm, const char *why, uint64_t value)
{
    print("host: realm `%s` cannot go on: %s 0x%lx\n", (const char *)realm->info->name, why, value);
    realm_stop(realm, VMM_STUCK);
}

static void sync_exit(struct vmm_realm *realm, struct rmi_rec_run *run)
{
    uint64_t ipa = (run->exit.hpfar & ~0xfUL) << 8;
    uint64_t ec = ESR_EC(run->exit.esr);
    if (ec == EC_DABORT_LOWER && ipa & realm->shared_bit) {
        unprotected_abort(realm, run, ipa);
    } else if ((ec == EC_DABORT_LOWER || ec == EC_IABORT_LOWER) && !(ipa & realm->shared_bit)) {
        realm->faults++;
        if (!page_supply(realm, ipa))
            stuck(realm, "nothing mends its access to IPA", ipa);
    } else if (ec != EC_SYSREG || !vgic_sysreg(run->exit.esr, run->exit.gprs[0])) {
        stuck(realm, "exit with ESR", run->exit.esr);
    }
}

static void psci_exit(struct vmm_realm *realm, const struct rmi_rec_run *run)
{
    switch (run->exit.gprs[0]) {
    case SMC_PSCI_SYSTEM_OFF:
        realm_stop(realm, init_status);
        return;
    case SMC_PSCI_SYSTEM_RESET:
        print("host: realm `%s` asks for a reset: it ends here\n", (const char *)realm->info->name);
        realm_stop(realm, 0);
        return;
    case SMC_PSCI_CPU_SUSPEND:
    case SMC_PSCI_CPU_SUSPEND_32: /* resumes at once */
        return;
    default:
        stuck(realm, "its only REC makes PSCI call", run->exit.gprs[0]);
    }
}

static void answer(struct vmm_realm *realm, struct vmm_rec *rec)
{
    switch (rec->run->exit.exit_reason) {
    case RMI_EXIT_SYNC:
        sync_exit(realm, rec->run);
        return;
    case RMI_EXIT_IRQ: /* of its timers and its list registers */
    case RMI_EXIT_FIQ:
        return;
    case RMI_EXIT_PSCI:
        psci_exit(realm, rec->run);
        return;
    case RMI_EXIT_RIPAS_CHANGE:
        realm->ripas_changes++;
        if (pages_can_change(realm, rec))
            pages_set_ripas(realm, rec, rec->run->exit.ripas_top);
        return;
    case RMI_EXIT_HOST_CALL:
        hostcall(realm, rec->run);
        return;
    default:
        stuck(realm, "exit reason", rec->run->exit.exit_reason);
    }
}

void realm_run(struct vmm_realm *realm)
{
    struct vmm_rec *rec = &realm->recs[REC];
    while (!realm->done) {
        vgic_fill(&rec->run->enter);
        must("RMI_REC_ENTER", rmi_rec_enter(rec->rec, (uint64_t)rec->run));
        realm->entries++;
        rec->run->enter.flags = 0;
        vgic_fold(rec->run);
        answer(realm, rec);
    }
}
