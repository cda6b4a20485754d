/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm.h"

static struct {
    const struct ccab_behaviour *asked;
    uint64_t seen; /* occasions */
    uint64_t met;  /* of these, met as asked */
} behaviours[CCAB_MAX_BEHAVIOURS];

static uint32_t count;

void behaviours_init(const struct ccab_host_info *info)
{
    count = info->num_behaviours < CCAB_MAX_BEHAVIOURS ? info->num_behaviours : CCAB_MAX_BEHAVIOURS;
    for (uint32_t i = 0; i < count; i++)
        behaviours[i].asked = ccab_behaviours(info) + i;
}

static int concerns(uint32_t i, const struct vmm_realm *realm, uint32_t kind)
{
    const struct ccab_behaviour *asked = behaviours[i].asked;
    return asked->kind == kind && (asked->realm == CCAB_EVERY_REALM || asked->realm == realm->index);
}

static int left(uint32_t i)
{
    return !behaviours[i].asked->times || behaviours[i].met < behaviours[i].asked->times;
}

const struct ccab_behaviour *behave(const struct vmm_realm *realm, uint32_t kind, uint64_t at)
{
    const struct ccab_behaviour *found = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct ccab_behaviour *asked = behaviours[i].asked;
        if (!concerns(i, realm, kind) || (asked->at != CCAB_ANYWHERE && asked->at != at))
            continue;
        behaviours[i].seen++;
        if (!found && left(i) && behaviours[i].seen > asked->after) {
            behaviours[i].met++;
            found = asked;
        }
    }
    return found;
}

void behaviour_tell(const struct vmm_realm *realm, uint64_t *gprs)
{
    uint32_t kind = (uint32_t)gprs[0];
    uint64_t at = gprs[1];
    gprs[0] = gprs[1] = gprs[2] = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct ccab_behaviour *asked = behaviours[i].asked;
        if (!concerns(i, realm, kind) || (asked->at != CCAB_ANYWHERE && asked->at != at))
            continue;
        if (!gprs[0])
            gprs[2] = asked->argument;
        gprs[0] = 1;
        gprs[1] += behaviours[i].met;
    }
}

/* Takes one page away; whether there was one. */
static int evict(struct vmm_realm *realm, uint64_t ipa)
{
    uint64_t *page = realm_page(realm, ipa);
    if (!page)
        return 0;
    if (!(ipa & realm->shared_bit)) {
        if (page_state(*page) != PAGE_DATA)
            return 0;
        must("RMI_DATA_DESTROY", realm_drop_page(realm, ipa));
        return 1;
    }
    if (page_state(*page) != PAGE_MAPPED)
        return 0;
    must("RMI_RTT_UNMAP_UNPROTECTED", rmi_rtt_unmap_unprotected(realm->rd, ipa, 3, 0));
    *page = page_pa(*page) | PAGE_SHARED;
    return 1;
}

void behaviour_evict(struct vmm_realm *realm)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct ccab_behaviour *asked = behaviours[i].asked;
        if (concerns(i, realm, CCAB_BEHAVE_EVICT) && left(i) && realm->entries > asked->after)
            behaviours[i].met += (uint64_t)evict(realm, asked->at);
    }
}

int behaviour_keeps(const struct vmm_realm *realm, uint64_t ipa)
{
    for (uint32_t i = 0; i < count; i++)
        if (concerns(i, realm, CCAB_BEHAVE_EVICT) && behaviours[i].asked->at == ipa && behaviours[i].met &&
            behaviours[i].asked->argument == CCAB_EVICT_REPORT)
            return 1;
    return 0;
}
