/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A realm that extends a measurement, asks for its attestation token in small parts, and prints it in hexadecimal:
 * `ccabridge token verify` reads the console's output as it is.
 */
#include "check.h"

#define PART 200 /* bytes at a time: parts end anywhere in a page */
#define LARGEST 8192
#define LINE 32

static uint8_t page[GRANULE] __attribute__((aligned(0x1000)));
static uint8_t token[LARGEST];

/* The challenge is 00 01 .. 3f. */
static uint64_t begin(uint64_t *largest)
{
    uint64_t challenge[8];
    uint8_t *bytes = (uint8_t *)challenge;
    for (unsigned i = 0; i < sizeof challenge; i++)
        bytes[i] = (uint8_t)i;
    return rsi_attestation_token_init(challenge, largest);
}

/* The whole token; 0 when the RMM refuses it. */
static uint64_t fetch(void)
{
    uint64_t size = 0, offset = 0, status;
    do {
        uint64_t wanted = GRANULE - offset < PART ? GRANULE - offset : PART, got;
        status = rsi_attestation_token_continue((uint64_t)page, offset, wanted, &got);
        if ((status != RSI_SUCCESS && status != RSI_INCOMPLETE) || got > wanted || size + got > LARGEST) {
            print("RSI_ATTESTATION_TOKEN_CONTINUE = %s\n", rsi_status_name(status));
            return 0;
        }
        memcpy(token + size, page + offset, got);
        size += got;
        offset += got;
        if (offset == GRANULE)
            offset = 0;
    } while (status == RSI_INCOMPLETE);
    return size;
}

static void print_token(uint64_t size)
{
    static const char digits[] = "0123456789abcdef";
    char line[2 * LINE + 1];
    print("-----BEGIN CCA TOKEN-----\n");
    for (uint64_t at = 0; at < size; at += LINE) {
        unsigned n = 0;
        for (uint64_t i = at; i < size && i < at + LINE; i++) {
            line[n++] = digits[token[i] >> 4];
            line[n++] = digits[token[i] & 15];
        }
        line[n] = 0;
        print("%s\n", line);
    }
    print("-----END CCA TOKEN-----\n");
}

int main(void)
{
    static const uint64_t value[8] = {0x0807060504030201};
    check_equal(rsi_measurement_extend(1, 8, value), RSI_SUCCESS, "REM 1 is extended by 01 .. 08");
    uint64_t largest = 0, got;
    check_equal(rsi_attestation_token_continue((uint64_t)page, 0, PART, &got), RSI_ERROR_STATE, "nothing was begun");
    check_equal(begin(&largest), RSI_SUCCESS, "a token is begun");
    check(largest <= LARGEST, "its bound is within the buffer");
    uint64_t size = fetch();
    check(size > 0 && size <= largest, "the token is within its bound");
    check_equal(rsi_attestation_token_continue((uint64_t)page, 0, PART, &got), RSI_ERROR_STATE, "it was handed out");
    print_token(size);
    print("token: %lu bytes, %u checks failed\n", size, checks_failed);
    return checks_failed != 0;
}
