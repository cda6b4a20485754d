/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host of a realm with Linux: builds it from kernel, device tree and initrd, runs it, takes everything back. */
#include "../irqs/gic.h"
#include "linux.h"

#define PPI_MAINTENANCE 25
#define SGI_BASE 0x10000
#define ISENABLER 0x100
#define ICENABLER 0x180

static struct vmm_realm realm;

static unsigned list_registers(void)
{
    uint64_t features;
    must("RMI_FEATURES", rmi_features(0, &features));
    return (unsigned)((features & RMI_FEATURE0_GICV3_NUM_LRS_MASK) >> RMI_FEATURE0_GICV3_NUM_LRS_SHIFT) + 1;
}

/* The maintenance interrupt makes the realm come out when it is done with a level, or with its list registers.  It is
 * never taken: its cause is gone with the realm's exit. */
static int take_maintenance(const struct ccab_host_info *info)
{
    uint64_t redistributor = info->gicd_pa ? gic_redistributor(info, ccab_mpidr(info)[0]) : 0;
    if (!redistributor)
        return 0;
    gic_init(info->gicd_pa);
    gic_init_pe(redistributor);
    mmio_write32(redistributor + SGI_BASE + ICENABLER, ~0U);
    mmio_write32(redistributor + SGI_BASE + ISENABLER, 1U << PPI_MAINTENANCE);
    return 1;
}

int main(const struct ccab_host_info *info, uint64_t x1, uint64_t x2, uint64_t x3)
{
    (void)x1, (void)x2, (void)x3;
    if (!info || info->magic != CCAB_INFO_MAGIC || info->version != CCAB_INFO_VERSION)
        return 2;
    if (info->num_realms != 1 || ccab_realm(info, 0)->recs != 1 || !ccab_realm(info, 0)->dtb_ipa) {
        print("host: expected one realm with one REC and the key `linux`\n");
        return 2;
    }
    if (info->num_behaviours) {
        print("host: this host has no behaviours (host.behaviour)\n");
        return 2;
    }
    if (!take_maintenance(info)) {
        print("host: the machine has no gicv3: the realm's interrupts need one\n");
        return 2;
    }
    pool_init(info->pool_pa, info->pool_size);
    must("RMI_VERSION", rmi_version(RMI_REVISION, 0, 0));

    realm_build(&realm, ccab_realm(info, 0), 0);
    vgic_init(list_registers());
    uart_init(&realm);
    realm_run(&realm);
    realm_destroy(&realm);

    print("host: realm `%s` ended with %d: %lu entries, %lu faults, %lu MMIO, %lu RIPAS changes\n",
          (const char *)realm.info->name, realm.exit_code, realm.entries, realm.faults, realm.mmio,
          realm.ripas_changes);
    print("host: %lu granules delegated, %lu returned and zero\n", granule_counts.delegated, granule_counts.returned);
    if (granule_counts.delegated != granule_counts.returned)
        return VMM_LEAK;
    return realm.exit_code;
}
