/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A realm from its description to ACTIVE, and back to nothing. */
#include "vmm.h"

/* Root tables: the highest legal start level, with concatenated tables where the IPA width needs them. */
static void choose_root(struct vmm_realm *realm)
{
    uint32_t bits = realm->info->ipa_bits;
    if (bits <= 43)
        realm->start_level = 1;
    else if (bits <= 48)
        realm->start_level = 0;
    else
        realm->start_level = -1;
    uint32_t table_bits = 12 + 9 * (uint32_t)(4 - realm->start_level);
    realm->root_count = bits > table_bits ? 1UL << (bits - table_bits) : 1;
}

void realm_create(struct vmm_realm *realm, const struct ccab_realm_info *info, uint32_t index)
{
    memset(realm, 0, sizeof *realm);
    realm->info = info;
    realm->index = index;
    realm->shared_bit = 1UL << (info->ipa_bits - 1);
    choose_root(realm);

    realm->rd = granule_take();
    realm->root = pool_take(realm->root_count);
    for (uint64_t i = 0; i < realm->root_count; i++)
        granule_delegate(realm->root + i * GRANULE);

    struct rmi_realm_params *params = (struct rmi_realm_params *)pool_take(1);
    params->flags = info->ipa_bits > 48 ? RMI_REALM_FLAG_LPA2 : 0;
    params->s2sz = info->ipa_bits;
    if (info->sve_bits) {
        params->flags |= RMI_REALM_FLAG_SVE;
        params->sve_vl = (uint8_t)(info->sve_bits / 128 - 1);
    }
    if (info->pmu_counters_plus1) {
        params->flags |= RMI_REALM_FLAG_PMU;
        params->pmu_num_ctrs = info->pmu_counters_plus1 - 1;
    }
    params->num_bps = 1;
    params->num_wps = 1;
    params->hash_algo = (uint8_t)info->hash_algo;
    memcpy(params->rpv, info->rpv, sizeof params->rpv);
    params->vmid = (uint16_t)(index + 1);
    params->rtt_base = realm->root;
    params->rtt_level_start = realm->start_level;
    params->rtt_num_start = (uint32_t)realm->root_count;
    must("RMI_REALM_CREATE", rmi_realm_create(realm->rd, (uint64_t)params));
    pool_give((uint64_t)params);

    uint64_t pages = info->ram_size / GRANULE;
    uint64_t table = (pages * sizeof *realm->pages + GRANULE - 1) / GRANULE;
    realm->pages = (uint64_t *)pool_take(table);
}

static void init_ripas(struct vmm_realm *realm, uint64_t base, uint64_t size)
{
    uint64_t top = base + size;
    while (base < top) {
        uint64_t done;
        uint64_t status = rmi_rtt_init_ripas(realm->rd, base, top, &done);
        if (status == RMI_SUCCESS)
            base = done;
        else if (RMI_STATUS(status) == RMI_ERROR_RTT && rtt_stop(status) < 3)
            rtt_extend(realm, base, rtt_stop(status));
        else
            vmm_fail("RMI_RTT_INIT_RIPAS", status);
    }
}

static void load_page(struct vmm_realm *realm, uint64_t ipa, uint64_t source, uint64_t flags)
{
    uint64_t data = granule_take();
    for (;;) {
        uint64_t status = rmi_data_create(realm->rd, data, ipa, source, flags);
        if (status == RMI_SUCCESS)
            break;
        if (RMI_STATUS(status) != RMI_ERROR_RTT || rtt_stop(status) >= 3)
            vmm_fail("RMI_DATA_CREATE", status);
        rtt_extend(realm, ipa, rtt_stop(status));
    }
    *realm_page(realm, ipa) = data | PAGE_DATA;
}

static void load(struct vmm_realm *realm, uint64_t ipa, uint64_t pa, uint64_t size, uint64_t flags)
{
    if (realm->info->flags & CCAB_REALM_BARE)
        init_ripas(realm, ipa, size);
    for (uint64_t offset = 0; offset < size; offset += GRANULE)
        load_page(realm, ipa + offset, pa + offset, flags);
}

void realm_populate(struct vmm_realm *realm)
{
    const struct ccab_realm_info *info = realm->info;
    if (!(info->flags & CCAB_REALM_BARE))
        init_ripas(realm, info->ram_base, info->ram_size);
    load(realm, info->load_ipa, info->image_pa, info->image_size, RMI_MEASURE_CONTENT);
    for (uint32_t i = 0; i < info->num_pieces; i++) {
        const struct ccab_piece *piece = &ccab_pieces(info)[i];
        load(realm, piece->ipa, piece->pa, piece->size, piece->flags);
    }
}

/* RmiRecMpidr of a REC's index (rmm-abi.md §11.8). */
static uint64_t rec_mpidr(uint64_t index)
{
    return (index & 0xf) | (index >> 4 & 0xff) << 8 | (index >> 12 & 0xff) << 16 | (index >> 20 & 0xff) << 24;
}

/* X0 to X7 at entry (docs/payload.md). */
static void set_registers(const struct vmm_realm *realm, uint64_t *gprs)
{
    const struct ccab_realm_info *info = realm->info;
    if (info->flags & CCAB_REALM_LINUX) {
        gprs[0] = info->dtb_ipa;
        return;
    }
    gprs[0] = info->ram_base;
    gprs[1] = info->ram_size;
    gprs[2] = realm->shared_bit;
    gprs[3] = info->ipa_bits;
    gprs[4] = CCAB_UART_IPA | realm->shared_bit;
    gprs[5] = info->dtb_ipa;
    gprs[6] = info->kernel_ipa;
}

void realm_create_recs(struct vmm_realm *realm)
{
    const struct ccab_realm_info *info = realm->info;
    must("RMI_REC_AUX_COUNT", rmi_rec_aux_count(realm->rd, &realm->aux_count));
    uint64_t table = (info->recs * sizeof *realm->recs + GRANULE - 1) / GRANULE;
    realm->recs = (struct vmm_rec *)pool_take(table);

    struct rmi_rec_params *params = (struct rmi_rec_params *)pool_take(1);
    for (uint32_t i = 0; i < info->recs; i++) {
        struct vmm_rec *rec = &realm->recs[i];
        rec->rec = granule_take();
        rec->mpidr = rec_mpidr(i);
        rec->run = (struct rmi_rec_run *)pool_take(1);
        rec->on = i == 0;
        params->flags = i == 0 ? RMI_REC_FLAG_RUNNABLE : 0;
        params->mpidr = rec->mpidr;
        params->pc = info->entry_ipa;
        set_registers(realm, params->gprs);
        params->num_aux = realm->aux_count;
        for (uint64_t aux = 0; aux < realm->aux_count; aux++)
            params->aux[aux] = rec->aux[aux] = granule_take();
        must("RMI_REC_CREATE", rmi_rec_create(realm->rd, rec->rec, (uint64_t)params));
    }
    pool_give((uint64_t)params);
}

void realm_build(struct vmm_realm *realm, const struct ccab_realm_info *info, uint32_t index)
{
    realm_create(realm, info, index);
    realm_populate(realm);
    realm_create_recs(realm);
    must("RMI_REALM_ACTIVATE", rmi_realm_activate(realm->rd));
}

void realm_destroy(struct vmm_realm *realm)
{
    for (uint32_t i = 0; i < realm->info->recs; i++) {
        struct vmm_rec *rec = &realm->recs[i];
        must("RMI_REC_DESTROY", rmi_rec_destroy(rec->rec));
        granule_give(rec->rec);
        for (uint64_t aux = 0; aux < realm->aux_count; aux++)
            granule_give(rec->aux[aux]);
        pool_give((uint64_t)rec->run);
    }
    rtt_destroy_all(realm);
    must("RMI_REALM_DESTROY", rmi_realm_destroy(realm->rd));
    granule_give(realm->rd);
    for (uint64_t i = 0; i < realm->root_count; i++)
        granule_give(realm->root + i * GRANULE);
}

uint64_t *realm_page(const struct vmm_realm *realm, uint64_t ipa)
{
    uint64_t offset = (ipa & ~realm->shared_bit) - realm->info->ram_base;
    return offset < realm->info->ram_size ? &realm->pages[offset / GRANULE] : 0;
}
