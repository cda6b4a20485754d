/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What crt0_host.S and host.c give to host firmware at NS-EL2 (docs/payload.md). */
#ifndef HOST_H
#define HOST_H

#include "arch.h"
#include "ccab.h"
#include "mem.h"
#include "print.h"

/* Written by the host's author.  info: X0 at entry; x1..x3: as the machine file's boot.registers give them.
 * The result ends the machine with that exit code. */
int main(const struct ccab_host_info *info, uint64_t x1, uint64_t x2, uint64_t x3);

/* Ends the machine with an exit code, 0..255. */
_Noreturn void host_exit(int code);

/* PL011 that print() writes to; crt0 sets it from the host information block. */
extern uint64_t host_console;

/* Called for each exception that EL2 takes.  The one in host.c prints the frame and ends the machine with
 * HOST_EXCEPTION; define another to handle them. */
void host_exception(struct frame *frame);

#define HOST_EXCEPTION 99

/* Where PSCI_CPU_ON may start another PE: context id = top of its stack, a multiple of 16; the function to run stands
 * at that address, and gets it as its argument. */
void host_secondary_start(void);

#endif
