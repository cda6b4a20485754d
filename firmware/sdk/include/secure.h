/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What crt0_secure.S and secure.c give to a service of the Secure world at S-EL1 (docs/secure-world.md). */
#ifndef SECURE_H
#define SECURE_H

#include "arch.h"
#include "ffa.h"
#include "mem.h"

/* Written by the service's author.  Before the first FFA_MSG_WAIT: 0, or an FF-A status (below 0) that fails the
 * service's initialisation. */
int secure_init(void);
/* Answers a direct request: X3..X7 of the message, in and out. */
void secure_request(uint16_t sender, uint64_t payload[5]);

/* Called for each exception that S-EL1 takes.  The one in secure.c fails whatever the service is doing; define another
 * to handle them. */
void secure_exception(struct frame *frame);

/* A Secure interrupt has come while the service waited (FFA_INTERRUPT); define it to acknowledge, handle and end it. */
void secure_interrupt(void);

/* Leaves the PE to the Normal world until it calls FFA_RUN. */
void secure_yield(void);
/* Gives up: what the service does now, and every request from now on, ends with FFA_ERROR (ABORTED). */
_Noreturn void secure_abort(void);

/* From secure.ld. */
extern char __image_start[], __text_end[], __image_end[];

#endif
