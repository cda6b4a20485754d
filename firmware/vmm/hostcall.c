/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Host calls of a realm (CCAB_HC_* in ccab.h). */
#include "vmm.h"

void realm_puts(const struct vmm_realm *realm, const char *text, uint64_t length)
{
    uint64_t uart = realm->info->console_pa ? realm->info->console_pa : host_console;
    if (uart)
        pl011_write(uart, text, length);
}

/* What the host can see of the page that it has for an IPA. */
static void peek(const struct vmm_realm *realm, uint64_t *gprs)
{
    const uint64_t *page = realm_page(realm, gprs[0]);
    enum page_state state = page ? page_state(*page) : PAGE_NONE;
    gprs[1] = gprs[2] = gprs[3] = 0;
    if (state == PAGE_DATA) {
        gprs[0] = CCAB_PEEK_PROTECTED;
        return;
    }
    if (state != PAGE_SHARED && state != PAGE_MAPPED) {
        gprs[0] = CCAB_PEEK_NONE;
        return;
    }
    const uint8_t *bytes = (const uint8_t *)page_pa(*page);
    for (uint64_t i = 0; i < GRANULE; i++)
        gprs[1] += bytes[i] != 0;
    gprs[0] = CCAB_PEEK_SHARED;
    gprs[2] = fnv1a(bytes, GRANULE);
    gprs[3] = *(const uint64_t *)(const void *)bytes;
}

uint64_t realm_drop_page(struct vmm_realm *realm, uint64_t ipa)
{
    uint64_t data;
    uint64_t status = rmi_data_destroy(realm->rd, ipa & ~(GRANULE - 1), &data, 0);
    if (status == RMI_SUCCESS) {
        granule_give(data);
        *realm_page(realm, ipa) = PAGE_NONE;
    }
    return status;
}

static uint64_t populate(struct vmm_realm *realm, uint64_t ipa)
{
    uint64_t *page = realm_page(realm, ipa);
    if (!page || (page_state(*page) != PAGE_NONE && page_state(*page) != PAGE_DATA))
        return RMI_ERROR_INPUT;
    uint64_t data = granule_take();
    uint64_t status = rtt_data_create_unknown(realm, data, ipa & ~(GRANULE - 1));
    if (status == RMI_SUCCESS)
        *page = data | PAGE_DATA;
    else
        granule_give(data);
    return status;
}

static uint64_t read_only(struct vmm_realm *realm, uint64_t ipa)
{
    uint64_t *page = realm_page(realm, ipa);
    if (!page || !(ipa & realm->shared_bit) || page_state(*page) == PAGE_NONE || page_state(*page) == PAGE_DATA)
        return RMI_ERROR_INPUT;
    ipa &= ~(GRANULE - 1);
    if (page_state(*page) == PAGE_EMPTY)
        *page = pool_take(1) | PAGE_SHARED;
    if (page_state(*page) == PAGE_MAPPED)
        must("RMI_RTT_UNMAP_UNPROTECTED", rmi_rtt_unmap_unprotected(realm->rd, ipa, 3, 0));
    uint64_t status = rtt_map_unprotected(realm, ipa, VMM_DESC_RO(page_pa(*page)));
    *page = page_pa(*page) | (status == RMI_SUCCESS ? PAGE_MAPPED : PAGE_SHARED);
    return status;
}

int hostcall(struct vmm_realm *realm, struct rmi_rec_run *run)
{
    uint64_t *gprs = run->enter.gprs;
    const uint64_t *asked = run->exit.gprs;
    realm->host_calls++;
    for (unsigned i = 0; i < 31; i++)
        gprs[i] = asked[i];
    switch (run->exit.imm) {
    case CCAB_HC_NOP:
        return 1;
    case CCAB_HC_PUTS:
        realm_puts(realm, (const char *)&asked[1], asked[0] < CCAB_PUTS_MAX ? asked[0] : CCAB_PUTS_MAX);
        return 1;
    case CCAB_HC_EXIT:
        realm_stop(realm, (int)(asked[0] & 0xff));
        return 0;
    case CCAB_HC_YIELD:
        return 0;
    case CCAB_HC_PEEK:
        peek(realm, gprs);
        return 1;
    case CCAB_HC_DESTROY:
        gprs[0] = realm_page(realm, asked[0]) ? realm_drop_page(realm, asked[0]) : RMI_ERROR_INPUT;
        return 1;
    case CCAB_HC_POPULATE:
        gprs[0] = populate(realm, asked[0]);
        return 1;
    case CCAB_HC_EXITS:
        gprs[0] = (asked[0] & ~(GRANULE - 1)) == realm->stuck_ipa ? realm->stuck_exits : 0;
        return 1;
    case CCAB_HC_PMU_EXITS:
        gprs[0] = realm->pmu_exits;
        return 1;
    case CCAB_HC_READ_ONLY:
        gprs[0] = read_only(realm, asked[0]);
        return 1;
    case CCAB_HC_BEHAVIOUR:
        behaviour_tell(realm, gprs);
        return 1;
    case CCAB_HC_VICTIM:
        /* The attacker reads the report, and answers, before it enters again. */
        gprs[0] = CCAB_VICTIM_END;
        return 0;
    default:
        gprs[0] = CCAB_HC_UNKNOWN;
        return 1;
    }
}
