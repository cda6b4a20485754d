/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every RSI call, its result decoded, and checked. */
#include "check.h"
#include "psci.h"

static uint8_t page[GRANULE] __attribute__((aligned(0x1000)));

/* H(32 or 64 zero bytes || bytes 0 to 31): REM 1 after the extension below, from a new realm's zero. */
static const uint8_t extended_sha256[32] = {
    0xbb, 0x22, 0x75, 0xc4, 0x9f, 0x28, 0xad, 0x52, 0xca, 0xe6, 0xd5, 0x5e, 0x34, 0xa9, 0x74, 0xa5,
    0x8c, 0x7a, 0x3b, 0xa2, 0x6f, 0x97, 0x6e, 0x8e, 0xcb, 0xbe, 0x7a, 0x53, 0x69, 0x18, 0xdc, 0x73,
};
static const uint8_t extended_sha512[64] = {
    0x1b, 0x3f, 0x25, 0x8f, 0xc7, 0xdf, 0x03, 0x7a, 0x13, 0x24, 0xb4, 0x95, 0x2a, 0xaf, 0x70, 0x9d,
    0xcf, 0xc4, 0x6a, 0xaf, 0x1a, 0xf7, 0x51, 0xe6, 0x28, 0x08, 0xb4, 0x8a, 0xb7, 0x0d, 0xe5, 0xab,
    0x4a, 0x98, 0xf4, 0x73, 0x84, 0x72, 0xbd, 0xf0, 0xb7, 0x08, 0x22, 0x9d, 0x95, 0x5f, 0x59, 0x2d,
    0x1b, 0x8f, 0xbb, 0xe4, 0xd1, 0x34, 0xc6, 0x5a, 0x0b, 0x9c, 0x6f, 0xce, 0x56, 0x27, 0x78, 0xaa,
};

#define MAJOR(revision) ((revision) >> 16)
#define MINOR(revision) ((revision) & 0xffff)

static void versions(void)
{
    uint64_t lower, higher;
    static const uint64_t asked[] = {RSI_REVISION, 0x20000};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t status = rsi_version(asked[i], &lower, &higher);
        print("RSI_VERSION(%lu.%lu) = %s, lower %lu.%lu, higher %lu.%lu\n", MAJOR(asked[i]), MINOR(asked[i]),
              rsi_status_name(status), MAJOR(lower), MINOR(lower), MAJOR(higher), MINOR(higher));
        check_equal(status, i ? RSI_ERROR_INPUT : RSI_SUCCESS, i ? "2.0 is not supported" : "1.0 is supported");
        check(lower == RSI_REVISION && higher == RSI_REVISION, "1.0 is all there is");
    }
}

static void features(void)
{
    uint64_t value;
    for (uint64_t index = 0; index < 2; index++) {
        uint64_t status = rsi_features(index, &value);
        print("RSI_FEATURES(%lu) = %s, 0x%lx\n", index, rsi_status_name(status), value);
        check(status == RSI_SUCCESS && value == 0, "1.0 defines no feature");
    }
}

static const struct rsi_realm_config *config(void)
{
    struct rsi_realm_config *got = (struct rsi_realm_config *)page;
    uint64_t status = rsi_realm_config((uint64_t)page);
    print("RSI_REALM_CONFIG = %s, IPA width %lu, hash %s, personalization `%s`\n", rsi_status_name(status),
          got->ipa_width, got->hash_algo ? "SHA-512" : "SHA-256", (const char *)got->rpv);
    check(status == RSI_SUCCESS && got->ipa_width == realm_entry.ipa_bits, "the IPA width is that of X3");
    check_equal(rsi_realm_config((uint64_t)page + 8), RSI_ERROR_INPUT, "an address inside a page is refused");
    check_equal(rsi_realm_config((uint64_t)page | realm_entry.shared_bit), RSI_ERROR_INPUT,
                "an unprotected address is refused");
    return got;
}

static void show_measurement(uint64_t index, const uint64_t *value, uint64_t bytes)
{
    const uint8_t *at = (const uint8_t *)value;
    char text[2 * 64 + 1];
    for (uint64_t i = 0; i < bytes; i++) {
        text[2 * i] = "0123456789abcdef"[at[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[at[i] & 15];
    }
    text[2 * bytes] = 0;
    print("RSI_MEASUREMENT_READ(%lu) = RSI_SUCCESS, %s %s\n", index, index ? "REM" : "RIM", text);
}

static void measurements(uint64_t hash_algo)
{
    uint64_t value[8], rest, zero[8] = {0};
    uint64_t bytes = hash_algo ? 64 : 32;
    for (uint64_t index = 0; index <= 4; index++) {
        uint64_t status = rsi_measurement_read(index, value);
        show_measurement(index, value, bytes);
        rest = 0;
        for (uint64_t i = bytes / 8; i < 8; i++)
            rest |= value[i];
        check(status == RSI_SUCCESS && !rest, "the slot's rest is zero");
        if (index)
            check(memcmp(value, zero, sizeof zero) == 0, "a new realm's REM is zero");
        else
            check(memcmp(value, zero, bytes) != 0, "the RIM is not");
    }
    check_equal(rsi_measurement_read(5, value), RSI_ERROR_INPUT, "there is no measurement 5");

    uint64_t extension[8];
    for (unsigned i = 0; i < sizeof extension; i++)
        ((uint8_t *)extension)[i] = (uint8_t)i;
    uint64_t status = rsi_measurement_extend(1, 32, extension);
    print("RSI_MEASUREMENT_EXTEND(1, 32 bytes) = %s\n", rsi_status_name(status));
    rsi_measurement_read(1, value);
    show_measurement(1, value, bytes);
    check(memcmp(value, hash_algo ? extended_sha512 : extended_sha256, bytes) == 0, "REM 1 is the hash of both");
    check_equal(rsi_measurement_extend(0, 32, extension), RSI_ERROR_INPUT, "the RIM cannot be extended");
    check_equal(rsi_measurement_extend(5, 32, extension), RSI_ERROR_INPUT, "nor a measurement 5");
    check_equal(rsi_measurement_extend(1, 65, extension), RSI_ERROR_INPUT, "nor by 65 bytes");
}

static void ipa_state(void)
{
    uint64_t top, ripas, next, response;
    uint64_t ram = realm_entry.ram_base, end = ram + realm_entry.ram_size, own = (uint64_t)page;
    for (uint64_t at = ram; at < end; at = top) {
        uint64_t status = rsi_ipa_state_get(at, end, &top, &ripas);
        if (at == ram || status != RSI_SUCCESS || top <= at)
            print("RSI_IPA_STATE_GET(0x%lx, 0x%lx) = %s, %s up to 0x%lx\n", at, end, rsi_status_name(status),
                  ripas_name(ripas), top);
        if (status != RSI_SUCCESS || ripas != RSI_RIPAS_RAM || top <= at) {
            check(0, "all of RAM is RIPAS RAM");
            break;
        }
    }
    check_equal(ripas_of(end), RSI_RIPAS_EMPTY, "beyond RAM is EMPTY");
    check_equal(rsi_ipa_state_get(ram | realm_entry.shared_bit, end | realm_entry.shared_bit, &top, &ripas),
                RSI_ERROR_INPUT, "unprotected IPAs have no RIPAS");

    static const uint64_t order[] = {RSI_RIPAS_EMPTY, RSI_RIPAS_RAM};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t status = rsi_ipa_state_set(own, own + GRANULE, order[i], 0, &next, &response);
        print("RSI_IPA_STATE_SET(0x%lx, 0x%lx, %s) = %s, up to 0x%lx, %s\n", own, own + GRANULE, ripas_name(order[i]),
              rsi_status_name(status), next, response ? "REJECT" : "ACCEPT");
        check(status == RSI_SUCCESS && next == own + GRANULE && !response, "the host made the change");
        check_equal(ripas_of(own), order[i], "and it shows");
    }
    check_equal(rsi_ipa_state_set(own, own + GRANULE, RSI_RIPAS_DESTROYED, 0, &next, &response), RSI_ERROR_INPUT,
                "DESTROYED cannot be asked for");
}

static void host_call(void)
{
    uint64_t gprs[4] = {1, 2, 3, 4};
    uint64_t status = realm_host_call(CCAB_HC_NOP, gprs, 4);
    print("RSI_HOST_CALL(NOP) = %s\n", rsi_status_name(status));
    check(status == RSI_SUCCESS && gprs[0] == 1 && gprs[3] == 4, "its registers come back");
    check(realm_host_call(0xffff, gprs, 1) == RSI_SUCCESS && gprs[0] == CCAB_HC_UNKNOWN, "the host knows no 0xffff");
    check_equal(rsi_host_call((uint64_t)page + 8), RSI_ERROR_INPUT, "the structure must be aligned to 256");
}

static void attestation(void)
{
    uint64_t challenge[8] = {1, 2, 3, 4, 5, 6, 7, 8}, size = 0;
    uint64_t status = rsi_attestation_token_init(challenge, &size);
    print("RSI_ATTESTATION_TOKEN_INIT = %s, at most %lu bytes\n", rsi_status_name(status), size);
    check(status == RSI_SUCCESS && size > 0, "a token is begun");
    status = rsi_attestation_token_continue((uint64_t)page, 0, 8, &size);
    print("RSI_ATTESTATION_TOKEN_CONTINUE = %s, %lu bytes\n", rsi_status_name(status), size);
    check(status == RSI_INCOMPLETE && size == 8, "its first 8 bytes are here");
    check(page[0] == 0xd9 && page[1] == 0x01 && page[2] == 0x8f && page[3] == 0xa2, "it is a map of 2 in tag 399");
    status = rsi_attestation_token_continue((uint64_t)page, 8, GRANULE - 8, &size);
    print("RSI_ATTESTATION_TOKEN_CONTINUE = %s\n", rsi_status_name(status));
    check(status == RSI_SUCCESS && size > 0, "and the rest of it");
    check_equal(rsi_attestation_token_continue((uint64_t)page, 0, GRANULE, &size), RSI_ERROR_STATE, "there is no more");
}

static void others(void)
{
    uint64_t version = (uint64_t)psci_version();
    print("PSCI_VERSION = %lu.%lu\n", MAJOR(version), MINOR(version));
    check_equal(version, 0x10001, "PSCI is 1.1");
    check_equal((uint64_t)psci_affinity_info(0, 0), PSCI_AFFINITY_ON, "this REC is on");
    const char *line = "This line went byte by byte to the UART in the unprotected half.\n";
    pl011_write(realm_entry.uart, line, strlen(line));
}

int main(void)
{
    versions();
    features();
    uint64_t hash_algo = config()->hash_algo;
    measurements(hash_algo);
    ipa_state();
    host_call();
    attestation();
    others();
    print("rsi-tour: %u checks failed\n", checks_failed);
    return checks_failed != 0;
}
