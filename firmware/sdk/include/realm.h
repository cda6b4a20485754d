/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What crt0_realm.S and realm.c give to a realm payload at R-EL1 (docs/payload.md). */
#ifndef REALM_H
#define REALM_H

#include "arch.h"
#include "ccab.h"
#include "mem.h"
#include "print.h"
#include "rsi.h"

/* X0..X6 at entry. */
struct realm_entry {
    uint64_t ram_base;   /* IPA of the protected RAM */
    uint64_t ram_size;   /* bytes */
    uint64_t shared_bit; /* the same IPA with this bit set is unprotected: shared with the host */
    uint64_t ipa_bits;   /* IPA width */
    uint64_t uart;       /* unprotected IPA of a PL011 */
    uint64_t dtb;        /* IPA of a device tree and of a kernel's first instruction: for boot loaders, else 0 */
    uint64_t kernel;
};

extern struct realm_entry realm_entry;

/* Written by the payload's author.  The result ends the realm, and the machine, with that exit code. */
int main(void);

_Noreturn void realm_exit(int code);

/* RSI_HOST_CALL with immediate `imm`: gprs[0..count-1] go to the host and come back.  RSI status. */
uint64_t realm_host_call(uint32_t imm, uint64_t *gprs, unsigned count);

/* Called for each exception that EL1 takes.  The one in realm.c prints the frame and ends the realm with
 * REALM_EXCEPTION; define another to handle them. */
void realm_exception(struct frame *frame);

#define REALM_EXCEPTION 98

/* Where PSCI_CPU_ON may start another REC: context id = top of its stack, a multiple of 16; the function to run
 * stands at that address, and gets it as its argument. */
void realm_secondary_start(void);

#endif
