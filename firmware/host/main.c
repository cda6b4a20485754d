/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host: builds the realms of the machine file, runs them, destroys them; its result is theirs. */
#include "vmm.h"

static struct vmm_realm realms[CCAB_MAX_REALMS];

__attribute__((weak)) void before_realms(uint32_t pe, uint32_t pes)
{
    (void)pe, (void)pes;
}

static void work(uint32_t pe, void *argument)
{
    const struct ccab_host_info *info = argument;
    before_realms(pe, info->num_cpus);
    realms_run_on(realms, info->num_realms, pe, info->num_cpus);
}

static void summary(const struct vmm_realm *realm)
{
    print("host: realm %u `%s` ended with %d: %lu entries, %lu host calls, %lu faults, %lu MMIO, %lu RIPAS changes\n",
          realm->index, (const char *)realm->info->name, realm->exit_code, realm->entries, realm->host_calls,
          realm->faults, realm->mmio, realm->ripas_changes);
}

int main(const struct ccab_host_info *info, uint64_t x1, uint64_t x2, uint64_t x3)
{
    (void)x1, (void)x2, (void)x3;
    if (!info || info->magic != CCAB_INFO_MAGIC || info->version != CCAB_INFO_VERSION)
        return 2;
    if (info->num_realms == 0 || info->num_realms > CCAB_MAX_REALMS) {
        print("host: the machine file names %u realms, expected 1 to %u\n", info->num_realms, CCAB_MAX_REALMS);
        return 2;
    }
    pool_init(info->pool_pa, info->pool_size);
    behaviours_init(info);
    must("RMI_VERSION", rmi_version(RMI_REVISION, 0, 0));

    for (uint32_t i = 0; i < info->num_realms; i++)
        realm_build(&realms[i], ccab_realm(info, i), i);
    pes_start(info, work, (void *)(uintptr_t)info);
    work(0, (void *)(uintptr_t)info);
    pes_wait(info);

    int code = 0;
    for (uint32_t i = 0; i < info->num_realms; i++) {
        realm_destroy(&realms[i]);
        summary(&realms[i]);
        if (code == 0)
            code = realms[i].exit_code;
    }
    print("host: %lu granules delegated, %lu returned and zero\n", granule_counts.delegated, granule_counts.returned);
    if (granule_counts.delegated != granule_counts.returned)
        return VMM_LEAK;
    return code;
}
