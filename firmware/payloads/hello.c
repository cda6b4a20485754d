/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Says hello, and what realm this is. */
#include "realm.h"

static struct rsi_realm_config config __attribute__((aligned(0x1000)));

int main(void)
{
    uint64_t lower, higher;
    if (rsi_version(RSI_REVISION, &lower, &higher) != RSI_SUCCESS)
        return 1;
    if (rsi_realm_config((uint64_t)&config) != RSI_SUCCESS)
        return 2;
    print("Hello from a realm at R-EL1: RSI %lu.%lu, %lu-bit IPA space, %s measurements\n", higher >> 16,
          higher & 0xffff, config.ipa_width, config.hash_algo ? "SHA-512" : "SHA-256");
    return config.ipa_width == realm_entry.ipa_bits ? 0 : 3;
}
