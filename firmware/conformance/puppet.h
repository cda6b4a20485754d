/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the conformance host says to its realm, the puppet, by the registers of a host call.
 *
 * The puppet makes one host call after another, with immediate PUPPET_CALL.  The host's answer is an order: gprs[0] =
 * one of these, gprs[1..] = its operands.  The next call reports: gprs[0..7] = results, [8] = exceptions that EL1 took
 * meanwhile, [9], [10] = ESR_EL1 and FAR_EL1 of the last one. */
#ifndef PUPPET_ORDERS_H
#define PUPPET_ORDERS_H

#define PUPPET_CALL 0x50

#define PUPPET_NOTHING 0
#define PUPPET_SMC 1   /* X0..X7 = gprs[1..8]; reports X0..X7 */
#define PUPPET_LOAD 2  /* gprs[1] = address, gprs[2] = PUPPET_{B..PAIR}; reports the register loaded */
#define PUPPET_STORE 3 /* the same, gprs[3] = value */
#define PUPPET_CALL_CODE 4 /* gprs[1] = address */
#define PUPPET_WFI 5
#define PUPPET_WFE 6
#define PUPPET_HVC 7
#define PUPPET_SGI 8   /* gprs[1] = value for ICC_SGI1R_EL1 */
#define PUPPET_STATE 9 /* reports SCTLR_EL1, MPIDR_EL1, CurrentEL, DAIF */

/* Accesses: LDRB W / STRB, and so on. */
#define PUPPET_B 0
#define PUPPET_H 1
#define PUPPET_W 2
#define PUPPET_X 3
#define PUPPET_SB_X 4 /* LDRSB to an X register */
#define PUPPET_SB_W 5
#define PUPPET_SW_X 6
#define PUPPET_XZR 7
#define PUPPET_PAIR 8 /* LDP, STP: no syndrome */

/* The first report of REC 0: realm_secondary_start, and the context id to start REC 1 with. */
/* The first report of REC 1: PUPPET_SECOND, MPIDR_EL1. */
#define PUPPET_SECOND 0x2e

/* What a register to be loaded holds before. */
#define PUPPET_UNLOADED 0x5555555555555555UL

#endif
