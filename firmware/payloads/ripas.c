/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bounce-buffer pattern: two pages go RAM -> EMPTY -> shared alias -> RAM.  What they held while they were the
 * realm's never reaches the host, and nothing of the host's is in them when they come back. */
#include "check.h"

#define PAGES 2
#define SECRET 0x7365637265742121UL
#define GREETING 0x6f6c6c6568UL

static uint64_t change(uint64_t base, uint64_t ripas, uint64_t flags)
{
    uint64_t top = base + PAGES * GRANULE;
    while (base < top) {
        uint64_t next, response;
        uint64_t status = rsi_ipa_state_set(base, top, ripas, flags, &next, &response);
        print("RSI_IPA_STATE_SET(0x%lx, 0x%lx, %s) = %s, up to 0x%lx, response %lu\n", base, top, ripas_name(ripas),
              rsi_status_name(status), next, response);
        if (status != RSI_SUCCESS || response || next <= base)
            return 0;
        base = next;
    }
    return 1;
}

int main(void)
{
    uint64_t page = realm_entry.ram_base + 8 * 0x100000;
    volatile uint64_t *own = (volatile uint64_t *)page;
    volatile uint64_t *alias = (volatile uint64_t *)(page | realm_entry.shared_bit);
    uint64_t words = PAGES * GRANULE / sizeof *own;

    print("RAM at 0x%lx, first touched here\n", page);
    for (uint64_t i = 0; i < words; i++)
        own[i] = SECRET + i;
    uint64_t seen[4] = {page, 0, 0, 0};
    check_equal(ask_host(CCAB_HC_PEEK, seen), CCAB_PEEK_PROTECTED, "the host has no page of its own there");
    check_equal(ripas_of(page), RSI_RIPAS_RAM, "RIPAS is RAM");

    check(change(page, RSI_RIPAS_EMPTY, 0), "the pages go to EMPTY");
    check_equal(ripas_of(page), RSI_RIPAS_EMPTY, "RIPAS is EMPTY");
    for (unsigned i = 0; i < PAGES; i++) {
        seen[0] = page + i * GRANULE;
        check_equal(ask_host(CCAB_HC_PEEK, seen), CCAB_PEEK_SHARED, "the host got the page back");
        check_equal(seen[1], 0, "and sees no byte of what it held");
    }

    print("shared alias 0x%lx\n", (uint64_t)alias);
    check_equal(alias[0], 0, "the alias is zero");
    alias[0] = GREETING;
    alias[words - 1] = GREETING;
    seen[0] = page;
    ask_host(CCAB_HC_PEEK, seen);
    check_equal(seen[3], GREETING, "the host reads what is written to the alias");
    check_equal(seen[1], 5, "and nothing else");

    check(change(page, RSI_RIPAS_RAM, 0), "the pages go back to RAM");
    check_equal(ripas_of(page), RSI_RIPAS_RAM, "RIPAS is RAM");
    uint64_t nonzero = 0;
    for (uint64_t i = 0; i < words; i++)
        nonzero += own[i] != 0;
    check_equal(nonzero, 0, "they come back zero: neither the secret nor the shared data is there");
    own[0] = SECRET;
    check_equal(own[0], SECRET, "and are RAM again");
    seen[0] = page;
    check_equal(ask_host(CCAB_HC_PEEK, seen), CCAB_PEEK_PROTECTED, "out of the host's reach");

    print("ripas: %u checks failed\n", checks_failed);
    return checks_failed != 0;
}
