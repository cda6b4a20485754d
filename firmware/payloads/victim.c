/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The attacker's prey: keeps a page of data, and says by its checksum that nobody changed it. */
#include "check.h"

#define PATTERN 0x9e3779b97f4a7c15UL

int main(void)
{
    uint64_t data = realm_entry.ram_base + 8 * 0x100000;
    uint64_t spare = data + 0x100000;
    volatile uint64_t *words = (volatile uint64_t *)data;
    for (uint64_t i = 0; i < GRANULE / sizeof *words; i++)
        words[i] = PATTERN * (i + 1);
    for (;;) {
        uint64_t report[4] = {data, fnv1a((const void *)data, GRANULE), spare};
        switch (ask_host(CCAB_HC_VICTIM, report)) {
        case CCAB_VICTIM_CHECK:
            break;
        case CCAB_VICTIM_RIPAS: {
            uint64_t next, response;
            rsi_ipa_state_set(spare, spare + 2 * GRANULE, RSI_RIPAS_EMPTY, 0, &next, &response);
            break;
        }
        default:
            return 0;
        }
    }
}
