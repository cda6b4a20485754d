/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The granules, pages and realms that the tables speak of. */
#include "conformance.h"
#include "puppet.h"

static const struct ccab_host_info *info;
static const struct ccab_realm_info *puppet;
static uint64_t places[SYM_END];
/* DATA granules of the puppet's image. */
static uint64_t image[64];

uint64_t resolve(uint64_t value)
{
    if (value >> 48 != 0x5eed)
        return value;
    uint64_t id = value >> 32 & 0xffff, offset = (value & 0xffffffff) - 0x80000000UL;
    return (id < GRANULES ? places[0] + id * GRANULE : places[id]) + offset;
}

void *page(uint64_t symbol)
{
    return (void *)resolve(symbol);
}

void world_puppet(uint64_t start, uint64_t stack)
{
    places[SYM_START] = start;
    places[SYM_STACK] = stack;
}

static void rec_params(uint64_t symbol, uint64_t mpidr, uint64_t aux)
{
    struct rmi_rec_params *params = page(symbol);
    params->mpidr = mpidr;
    params->flags = mpidr == 0 ? RMI_REC_FLAG_RUNNABLE : 0;
    params->pc = puppet->entry_ipa;
    params->gprs[0] = puppet->ram_base;
    params->gprs[1] = puppet->ram_size;
    params->gprs[2] = SHARED;
    params->gprs[3] = 40;
    params->num_aux = 16;
    for (unsigned i = 0; i < 16; i++)
        params->aux[i] = resolve(aux) + i * GRANULE;
}

void world_init(const struct ccab_host_info *host)
{
    info = host;
    puppet = ccab_realm(host, 0);
    pool_init(host->pool_pa, host->pool_size);
    places[0] = pool_take(GRANULES);
    places[SYM_BLOCK] = pool_take(FOLDABLE);
    for (unsigned i = SYM_NS; i <= SYM_RUN1; i++)
        places[i] = pool_take(1);
    places[SYM_MMIO] = host->console_pa;
    places[SYM_SECURE] = host->secure_pa;
    places[SYM_ROOT_WORLD] = host->root_gpt_pa;
    places[SYM_RMM] = host->rmm_pa;
    places[SYM_DRAM_FIRST] = host->bank_base[0];
    places[SYM_DRAM_END] = host->bank_base[0] + host->bank_size[0];
    places[SYM_DRAM_LAST] = places[SYM_DRAM_END] - GRANULE;

    struct rmi_realm_params *params = page(PARAMS);
    params->s2sz = 40;
    params->num_bps = 1;
    params->num_wps = 1;
    params->vmid = 7;
    params->rtt_base = resolve(ROOT);
    params->rtt_num_start = 1;
    rec_params(RECP0, 0, AUX0);
    rec_params(RECP1, 1, AUX1);
    rec_params(RECP2, 2, AUX2);
    rec_params(RECP3, 3, AUX3);
}

void delegate(uint64_t first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        granule_delegate(resolve(first) + i * GRANULE);
}

void undelegate(uint64_t first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        granule_undelegate(resolve(first) + i * GRANULE);
}

static void touch(uint64_t first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        volatile uint64_t *word = (volatile uint64_t *)(first + i * GRANULE);
        *word = *word + 1;
        *word = *word - 1;
    }
}

int world_is_whole(void)
{
    /* What did not come back faults here. */
    touch(places[0], GRANULES);
    touch(places[SYM_BLOCK], FOLDABLE);
    return granule_counts.delegated == granule_counts.returned;
}

void realm_new(void)
{
    delegate(RD, 1);
    delegate(ROOT, 1);
    must("RMI_REALM_CREATE", rmi_realm_create(resolve(RD), resolve(PARAMS)));
}

static void table(uint64_t rtt, uint64_t ipa, int level)
{
    delegate(rtt, 1);
    must("RMI_RTT_CREATE", rmi_rtt_create(resolve(RD), resolve(rtt), ipa, level));
}

static void no_table(uint64_t rtt, uint64_t ipa, int level)
{
    must("RMI_RTT_DESTROY", rmi_rtt_destroy(resolve(RD), ipa, level, 0, 0));
    undelegate(rtt, 1);
}

void realm_new_with_tables(void)
{
    realm_new();
    table(L1, 0, 1);
    table(L2, RAM, 2);
    table(L3, RAM, 3);
}

void realm_end(void)
{
    must("RMI_REALM_DESTROY", rmi_realm_destroy(resolve(RD)));
    undelegate(RD, 1);
    undelegate(ROOT, 1);
}

void realm_end_with_tables(void)
{
    no_table(L3, RAM, 3);
    no_table(L2, RAM, 2);
    no_table(L1, 0, 1);
    realm_end();
}

static void puppet_new(void)
{
    realm_new_with_tables();
    uint64_t rd = resolve(RD), top;
    must("RMI_RTT_INIT_RIPAS", rmi_rtt_init_ripas(rd, RAM, RAM + 2 * MB, &top));
    for (uint64_t i = 0; i < puppet->image_size / GRANULE; i++) {
        image[i] = granule_take();
        must("RMI_DATA_CREATE", rmi_data_create(rd, image[i], puppet->load_ipa + i * GRANULE,
                                                puppet->image_pa + i * GRANULE, RMI_MEASURE_CONTENT));
    }
    delegate(REC0, 3);
    delegate(AUX0, 48);
    must("RMI_REC_CREATE", rmi_rec_create(rd, resolve(REC0), resolve(RECP0)));
    must("RMI_REC_CREATE", rmi_rec_create(rd, resolve(REC1), resolve(RECP1)));
    must("RMI_REC_CREATE", rmi_rec_create(rd, resolve(REC2), resolve(RECP2)));
    /* Tables of the unprotected half, for pages at SHARED. */
    table(U1, SHARED, 1);
    table(U2, SHARED, 2);
    table(U3, SHARED, 3);
}

void puppet_start(void)
{
    puppet_new();
    must("RMI_REALM_ACTIVATE", rmi_realm_activate(resolve(RD)));
    memset(page(RUN), 0, GRANULE);
    must("RMI_REC_ENTER", rmi_rec_enter(resolve(REC0), resolve(RUN)));
    const struct rmi_rec_run *run = page(RUN);
    if (run->exit.exit_reason != RMI_EXIT_HOST_CALL || run->exit.imm != PUPPET_CALL) {
        print("conformance: the puppet does not call: exit reason %lu\n", run->exit.exit_reason);
        host_exit(VMM_STUCK);
    }
    world_puppet(run->exit.gprs[0], run->exit.gprs[1]);
}

void other_realm(void)
{
    struct rmi_realm_params *params = page(PARAMS);
    params->vmid = 8;
    params->rtt_base = resolve(ROOT2);
    delegate(RD2, 2);
    must("RMI_REALM_CREATE", rmi_realm_create(resolve(RD2), resolve(PARAMS)));
    params->vmid = 7;
    params->rtt_base = resolve(ROOT);

    rec_params(RECP3, 0, AUX3);
    delegate(REC3, 17);
    must("RMI_REC_CREATE", rmi_rec_create(resolve(RD2), resolve(REC3), resolve(RECP3)));
    rec_params(RECP3, 3, AUX3);
}

void other_realm_end(void)
{
    must("RMI_REC_DESTROY", rmi_rec_destroy(resolve(REC3)));
    undelegate(REC3, 17);
    must("RMI_REALM_DESTROY", rmi_realm_destroy(resolve(RD2)));
    undelegate(RD2, 2);
}

void puppet_end(void)
{
    must("RMI_REC_DESTROY", rmi_rec_destroy(resolve(REC0)));
    must("RMI_REC_DESTROY", rmi_rec_destroy(resolve(REC1)));
    must("RMI_REC_DESTROY", rmi_rec_destroy(resolve(REC2)));
    undelegate(REC0, 3);
    undelegate(AUX0, 48);
    for (uint64_t i = 0; i < puppet->image_size / GRANULE; i++) {
        must("RMI_DATA_DESTROY", rmi_data_destroy(resolve(RD), puppet->load_ipa + i * GRANULE, 0, 0));
        granule_give(image[i]);
    }
    no_table(U3, SHARED, 3);
    no_table(U2, SHARED, 2);
    no_table(U1, SHARED, 1);
    realm_end_with_tables();
}
