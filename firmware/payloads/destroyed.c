/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RAM that the host destroys: every access exits for ever, a new DATA granule does not revive it, and only the
 * realm's RSI_IPA_STATE_SET with CHANGE_DESTROYED recovers it.  REC 1 makes the access, REC 0 watches. */
#include "check.h"
#include "psci.h"

#define PATTERN 0x1122334455667788UL
#define ENOUGH 5 /* exits of REC 1 */

static volatile uint64_t lost_ipa, value_read, rec1_done;
static _Alignas(16) uint64_t rec1_stack[512];

static _Noreturn void rec1(void)
{
    value_read = *(volatile uint64_t *)lost_ipa;
    rec1_done = 1;
    psci_cpu_off();
    realm_exit(96);
}

static uint64_t set_ram(uint64_t ipa, uint64_t flags, uint64_t *next)
{
    uint64_t response;
    uint64_t status = rsi_ipa_state_set(ipa, ipa + GRANULE, RSI_RIPAS_RAM, flags, next, &response);
    print("RSI_IPA_STATE_SET(0x%lx, RAM, %s) = %s, up to 0x%lx, response %s\n", ipa,
          flags ? "CHANGE_DESTROYED" : "NO_CHANGE_DESTROYED", rsi_status_name(status), *next,
          response ? "REJECT" : "ACCEPT");
    return status == RSI_SUCCESS ? response : (uint64_t)-1;
}

static void yield(void)
{
    uint64_t gprs[4] = {0};
    ask_host(CCAB_HC_YIELD, gprs);
}

static uint64_t exits_at(uint64_t ipa)
{
    uint64_t gprs[4] = {ipa};
    return ask_host(CCAB_HC_EXITS, gprs);
}

int main(void)
{
    uint64_t lost = realm_entry.ram_base + 8 * 0x100000;
    uint64_t other = lost + GRANULE;
    *(volatile uint64_t *)lost = PATTERN;
    *(volatile uint64_t *)other = PATTERN;
    lost_ipa = lost;

    uint64_t host[4] = {lost};
    check_equal(ask_host(CCAB_HC_DESTROY, host), 0, "the host destroys a page of RAM");
    check_equal(ripas_of(lost), RSI_RIPAS_DESTROYED, "RIPAS is DESTROYED");
    check_equal(*(volatile uint64_t *)other, PATTERN, "the page next to it is as it was");

    host[0] = lost;
    check_equal(ask_host(CCAB_HC_POPULATE, host), 0, "the host puts a new granule there: DATA_CREATE_UNKNOWN succeeds");
    check_equal(ripas_of(lost), RSI_RIPAS_DESTROYED, "which does not revive it: RIPAS is DESTROYED");

    uint64_t top = (uint64_t)rec1_stack + sizeof rec1_stack - 16;
    *(uint64_t *)top = (uint64_t)rec1;
    if (!check(psci_cpu_on(1, (uint64_t)realm_secondary_start, top) == 0, "REC 1 starts (needs recs: 2)"))
        return 2;
    for (unsigned i = 0; i < 100 && exits_at(lost) < ENOUGH; i++)
        yield();
    uint64_t exits = exits_at(lost);
    print("REC 1 reads the page: %lu exits, %s\n", exits, rec1_done ? "done" : "and it has not got past it");
    check(exits >= ENOUGH && !rec1_done, "every retry exits");

    uint64_t next;
    check_equal(set_ram(lost, 0, &next), 1, "without CHANGE_DESTROYED the request is rejected");
    check_equal(next, lost, "and nothing changes");
    check_equal(ripas_of(lost), RSI_RIPAS_DESTROYED, "RIPAS is DESTROYED");
    yield();
    check(!rec1_done, "REC 1 still exits");

    check_equal(set_ram(lost, 1, &next), 0, "with CHANGE_DESTROYED it is accepted");
    check_equal(next, lost + GRANULE, "for the whole page");
    check_equal(ripas_of(lost), RSI_RIPAS_RAM, "RIPAS is RAM");
    for (unsigned i = 0; i < 100 && !rec1_done; i++)
        yield();
    check(rec1_done, "REC 1 gets past it");
    check_equal(value_read, 0, "and reads zero: the old content is gone");
    *(volatile uint64_t *)lost = PATTERN;
    check_equal(*(volatile uint64_t *)lost, PATTERN, "the page is RAM again");
    check_equal(*(volatile uint64_t *)other, PATTERN, "other RAM never noticed");

    print("destroyed: %u checks failed\n", checks_failed);
    return checks_failed != 0;
}
