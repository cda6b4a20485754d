/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ATTACKER_H
#define ATTACKER_H

#include "probe.h"
#include "vmm.h"

/* ---- host_window.c ---- */

/* Maps the Normal world's memory and the window, and turns the MMU on. */
void window_init(const struct ccab_host_info *info);

/* ---- main.c: what is attacked, and what must not change ---- */

enum target { DATA, RTT, RD, REC, SECURE, GPT, MONITOR, RMM, SERVICE, TAKEN, TARGETS };

extern const char *const target_names[TARGETS];
/* PA of a granule of each kind, 0 where the machine has none. */
extern uint64_t target_pa[TARGETS];
/* Those that the Secure world must not reach either: DATA to REC, GPT, MONITOR, RMM. */
#define SECURE_TARGETS 7
/* Cases counted so far, and those that were as they must be. */
extern unsigned cases, passed;

void count(int ok);
/* Whether the realm still runs with its data as it was, and so does the service with its code and its secret. */
int unchanged(void);

/* ---- secure_side.c: the service of the Secure world, as an accomplice and as a target ---- */

/* Cases that the Secure world made. */
extern unsigned secure_cases;
/* Finds the service; 0 when the machine has none. */
int service_open(uint64_t buffers);
/* Has `pa` taken, after every access to it from the Secure world was seen to succeed; 0 when the service fails. */
int service_take(uint64_t pa);
/* PA of the service's code. */
uint64_t service_code(void);
/* 1 when the code and the taken granule are as they were at service_take. */
int service_unchanged(void);
/* Every access of the Secure world to every target of another world, by Secure and by Non-secure addresses. */
void secure_attacks(void);
/* The taken granule comes back, zero. */
void service_give_back(void);

#endif
