/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host that makes one mistake, which x1 names, or does the same thing rightly where x2 is not 0: what ccabridge says of
 * each is tested.  Nothing that it prints or leaves in memory tells which. */
#include "vmm.h"

enum {
    NOTHING,
    WRONG_RIPAS,
    MISSING_RTT,
    WRONG_MPIDR_ORDER,
    UNMAPPED_SHARED_PAGE,
    NS_ACCESS,
    BAD_LEVEL,
    MMIO_AT_PROTECTED, /* the payload's mistake, not the host's */
    LOST_INTERRUPT,
    MISSING_PSCI_COMPLETE,
    DIRTY_AUX,
};

static uint64_t mistake;
static struct vmm_realm realm;

int exit_ignored(struct vmm_realm *of, struct vmm_rec *rec)
{
    const struct rmi_rec_exit *exit = &rec->run->exit;
    uint64_t ipa = (exit->hpfar & ~0xfUL) << 8;
    uint64_t *page = realm_page(of, ipa);
    switch (mistake) {
    case UNMAPPED_SHARED_PAGE:
        return exit->exit_reason == RMI_EXIT_SYNC && ESR_EC(exit->esr) == EC_DABORT_LOWER && ipa & of->shared_bit &&
               page;
    case LOST_INTERRUPT:
        return exit->exit_reason == RMI_EXIT_IRQ;
    case MISSING_PSCI_COMPLETE:
        while (exit->exit_reason == RMI_EXIT_PSCI)
            rmi_rec_enter(rec->rec, (uint64_t)rec->run);
        return 0;
    default:
        return 0;
    }
}

/* A REC as realm_create_recs makes it, but for its MPIDR or its first auxiliary granule. */
static void create_rec(uint64_t mpidr, uint64_t first_aux)
{
    struct rmi_rec_params *params = (struct rmi_rec_params *)pool_take(1);
    uint64_t count;
    must("RMI_REC_AUX_COUNT", rmi_rec_aux_count(realm.rd, &count));
    params->flags = RMI_REC_FLAG_RUNNABLE;
    params->mpidr = mpidr;
    params->pc = realm.info->entry_ipa;
    params->num_aux = count;
    for (uint64_t i = 0; i < count; i++)
        params->aux[i] = i || !first_aux ? granule_take() : first_aux;
    must("RMI_REC_CREATE", rmi_rec_create(realm.rd, granule_take(), (uint64_t)params));
}

static void build(const struct ccab_realm_info *info, uint64_t bug)
{
    static struct ccab_realm_info cut;
    cut = *info;
    if (mistake == WRONG_RIPAS)
        cut.ram_size -= GRANULE;
    realm_create(&realm, &cut, 0);
    if (mistake == MISSING_RTT)
        must("RMI_DATA_CREATE_UNKNOWN", rmi_data_create_unknown(realm.rd, granule_take(), info->ram_base));
    if (bug == MISSING_RTT) {
        uint64_t data = granule_take();
        must("RMI_DATA_CREATE_UNKNOWN", rtt_data_create_unknown(&realm, data, info->ram_base));
        must("RMI_DATA_DESTROY", rmi_data_destroy(realm.rd, info->ram_base, 0, 0));
        granule_give(data);
    }
    if (bug == BAD_LEVEL) {
        int level = mistake ? realm.start_level : realm.start_level + 1;
        uint64_t ipa = info->ram_base & ~(rtt_size(level - 1) - 1);
        must("RMI_RTT_CREATE", rmi_rtt_create(realm.rd, granule_take(), ipa, level));
    }
    realm_populate(&realm);
    realm.info = info;
    if (mistake == WRONG_MPIDR_ORDER)
        create_rec(1, 0);
    if (mistake == DIRTY_AUX)
        create_rec(0, page_pa(*realm_page(&realm, info->load_ipa)));
    realm_create_recs(&realm);
    must("RMI_REALM_ACTIVATE", rmi_realm_activate(realm.rd));
}

/* Looks at a page that it has delegated before it has it back, or after. */
static void look_at_a_page(void)
{
    uint64_t pa = granule_take();
    if (mistake != NS_ACCESS)
        granule_undelegate(pa);
    uint64_t word = *(volatile uint64_t *)pa;
    print("host: a page holds 0x%lx\n", word);
}

int main(const struct ccab_host_info *info, uint64_t x1, uint64_t x2, uint64_t x3)
{
    (void)x3;
    if (!info || info->magic != CCAB_INFO_MAGIC || info->version != CCAB_INFO_VERSION || info->num_realms != 1)
        return 2;
    mistake = x2 ? NOTHING : x1;
    pool_init(info->pool_pa, info->pool_size);
    behaviours_init(info);
    must("RMI_VERSION", rmi_version(RMI_REVISION, 0, 0));
    if (x1 == NS_ACCESS)
        look_at_a_page();
    build(ccab_realm(info, 0), x1);
    realms_run_on(&realm, 1, 0, 1);
    realm_destroy(&realm);
    print("host: the realm ended with %d\n", realm.exit_code);
    return realm.exit_code;
}
