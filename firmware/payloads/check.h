/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks of a payload: one line each, and the count of those that fail. */
#ifndef CHECK_H
#define CHECK_H

#include "realm.h"

static unsigned checks_made, checks_failed;

static inline int check(int ok, const char *what)
{
    print("  %s %s\n", ok ? "ok  " : "FAIL", what);
    checks_made++;
    checks_failed += !ok;
    return ok;
}

static inline int check_equal(uint64_t got, uint64_t expected, const char *what)
{
    if (got == expected)
        return check(1, what);
    print("       0x%lx, expected 0x%lx\n", got, expected);
    return check(0, what);
}

/* The closing line; the exit code. */
static inline int checks_end(const char *name)
{
    print("%s: %u of %u checks passed\n", name, checks_made - checks_failed, checks_made);
    return checks_failed || !checks_made;
}

static inline const char *rsi_status_name(uint64_t status)
{
    switch (status) {
    case RSI_SUCCESS:
        return "RSI_SUCCESS";
    case RSI_ERROR_INPUT:
        return "RSI_ERROR_INPUT";
    case RSI_ERROR_STATE:
        return "RSI_ERROR_STATE";
    case RSI_INCOMPLETE:
        return "RSI_INCOMPLETE";
    case RSI_ERROR_UNKNOWN:
        return "RSI_ERROR_UNKNOWN";
    case (uint64_t)-1:
        return "unknown function";
    default:
        return "unknown status";
    }
}

static inline const char *ripas_name(uint64_t ripas)
{
    switch (ripas) {
    case RSI_RIPAS_EMPTY:
        return "EMPTY";
    case RSI_RIPAS_RAM:
        return "RAM";
    case RSI_RIPAS_DESTROYED:
        return "DESTROYED";
    default:
        return "unknown RIPAS";
    }
}

/* RIPAS of the page at `ipa`, or -1 when RSI_IPA_STATE_GET fails. */
static inline uint64_t ripas_of(uint64_t ipa)
{
    uint64_t top, ripas;
    if (rsi_ipa_state_get(ipa, ipa + GRANULE, &top, &ripas) != RSI_SUCCESS)
        return (uint64_t)-1;
    return ripas;
}

/* The Realm Personalization Value as a decimal number: what the realm's owner tells the payload to expect. */
static inline uint64_t personalization_number(void)
{
    static uint8_t page[GRANULE] __attribute__((aligned(0x1000)));
    if (rsi_realm_config((uint64_t)page) != RSI_SUCCESS)
        realm_exit(97);
    uint64_t number = 0;
    for (const uint8_t *c = ((struct rsi_realm_config *)page)->rpv; *c >= '0' && *c <= '9'; c++)
        number = number * 10 + (uint64_t)(*c - '0');
    return number;
}

/* A host call with up to four registers, which come back in `gprs`. */
static inline uint64_t ask_host(uint32_t imm, uint64_t *gprs)
{
    if (realm_host_call(imm, gprs, 4) != RSI_SUCCESS)
        realm_exit(97);
    return gprs[0];
}

#endif
