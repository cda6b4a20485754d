/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The realm's RAM while it runs: pages on demand, and their way from RAM to EMPTY, shared, and back. */
#include "vmm.h"

int page_supply(struct vmm_realm *realm, uint64_t ipa)
{
    uint64_t *page = realm_page(realm, ipa);
    if (!page || page_state(*page) != PAGE_NONE)
        return 0;
    uint64_t data = granule_take();
    must("RMI_DATA_CREATE_UNKNOWN", rtt_data_create_unknown(realm, data, ipa));
    *page = data | PAGE_DATA;
    return 1;
}

int page_share(struct vmm_realm *realm, uint64_t ipa)
{
    uint64_t *page = realm_page(realm, ipa);
    if (!page || (page_state(*page) != PAGE_EMPTY && page_state(*page) != PAGE_SHARED))
        return 0;
    if (page_state(*page) == PAGE_EMPTY)
        *page = pool_take(1) | PAGE_SHARED;
    must("RMI_RTT_MAP_UNPROTECTED", rtt_map_unprotected(realm, ipa, VMM_DESC_RW(page_pa(*page))));
    *page = page_pa(*page) | PAGE_MAPPED;
    return 1;
}

/* The realm takes a page back: what is mapped at the shared alias goes first. */
static void became_ram(struct vmm_realm *realm, uint64_t ipa, uint64_t *page)
{
    if (page_state(*page) == PAGE_NONE || page_state(*page) == PAGE_DATA)
        return;
    if (page_state(*page) == PAGE_MAPPED)
        must("RMI_RTT_UNMAP_UNPROTECTED", rmi_rtt_unmap_unprotected(realm->rd, ipa | realm->shared_bit, 3, 0));
    if (page_state(*page) != PAGE_EMPTY)
        pool_give(page_pa(*page));
    *page = PAGE_NONE;
}

/* The realm gave a page up: the host destroys it and keeps the granule for the shared alias. */
static void became_empty(struct vmm_realm *realm, uint64_t ipa, uint64_t *page)
{
    if (page_state(*page) == PAGE_NONE)
        *page = PAGE_EMPTY;
    if (page_state(*page) != PAGE_DATA)
        return;
    uint64_t data;
    must("RMI_DATA_DESTROY", rmi_data_destroy(realm->rd, ipa, &data, 0));
    granule_undelegate(data);
    *page = data | PAGE_SHARED;
}

static void changed(struct vmm_realm *realm, uint64_t base, uint64_t top, uint64_t ripas)
{
    uint64_t ram = realm->info->ram_base, end = ram + realm->info->ram_size;
    if (base < ram)
        base = ram;
    for (uint64_t ipa = base; ipa < top && ipa < end; ipa += GRANULE) {
        if (ripas == RMI_RIPAS_EMPTY)
            became_empty(realm, ipa, realm_page(realm, ipa));
        else
            became_ram(realm, ipa, realm_page(realm, ipa));
    }
}

int pages_can_change(const struct vmm_realm *realm, struct vmm_rec *rec)
{
    const struct rmi_rec_exit *exit = &rec->run->exit;
    uint64_t ram = realm->info->ram_base;
    if (exit->ripas_value != RMI_RIPAS_RAM ||
        (exit->ripas_base >= ram && exit->ripas_top <= ram + realm->info->ram_size))
        return 1;
    rec->run->enter.flags = RMI_REC_ENTER_FLAG_RIPAS_RESPONSE;
    return 0;
}

void pages_set_ripas(struct vmm_realm *realm, struct vmm_rec *rec, uint64_t top)
{
    const struct rmi_rec_exit *exit = &rec->run->exit;
    uint64_t base = exit->ripas_base;
    while (base < top) {
        uint64_t done;
        uint64_t status = rmi_rtt_set_ripas(realm->rd, rec->rec, base, top, &done);
        if (status == RMI_SUCCESS) {
            changed(realm, base, done, exit->ripas_value);
            base = done;
        } else if (RMI_STATUS(status) == RMI_ERROR_RTT && rtt_stop(status) < 3) {
            rtt_extend(realm, base, rtt_stop(status));
        } else if (RMI_STATUS(status) == RMI_ERROR_RTT) {
            /* The entry may not change: it is DESTROYED, and the realm did not ask for such to be changed. */
            rec->run->enter.flags = RMI_REC_ENTER_FLAG_RIPAS_RESPONSE;
            return;
        } else {
            vmm_fail("RMI_RTT_SET_RIPAS", status);
        }
    }
}
