/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ATTACKER_H
#define ATTACKER_H

#include "vmm.h"

/* ---- window.c: two pages of VA that show any two PAs, and a VA whose last table lies at any PA ---- */

#define WINDOW 0x4000000000UL     /* first page: always the scratch page; second page: the target */
#define TARGET (WINDOW + GRANULE) /* VA of the target */
#define WALKED 0x4000200000UL     /* translated by a level 3 table at the target */

void window_init(const struct ccab_host_info *info);
/* Shows `pa` in the second page of the window and makes it the table of WALKED. */
void window_show(uint64_t pa);
/* VA whose second page can be changed from the scratch page to the target within a pair of LDXR and STXR. */
uint64_t *window_target_entry(uint64_t *scratch_descriptor, uint64_t *target_descriptor);

/* ---- probe.c, probes.S: one access, and the exception that it meets ---- */

struct outcome {
    uint64_t faults; /* exceptions taken */
    uint64_t esr;    /* of the last one */
    uint64_t far;
    uint64_t value;  /* what the probe returned */
};

enum access { LOAD, STORE, FETCH, LDP, EXCLUSIVE, ATOMIC, ZERO, WALK, ACCESSES };

/* Into the granule, but for the accesses that cross into it or walk it. */
#define PROBE_OFFSET 0x140UL

extern const char *const access_names[ACCESSES];

/* Makes the access to what the window shows. */
struct outcome probe(enum access access);
/* Whether the outcome is the granule protection fault that the architecture demands, to the bit. */
int refused(enum access access, const struct outcome *outcome);
/* The outcome that refused() wants. */
struct outcome expected(enum access access);

#endif
