/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One access of each kind to any PA, at EL2 or at S-EL1, and the exception that it meets. */
#ifndef PROBE_H
#define PROBE_H

#include "arch.h"
#include "stage1.h"

/* ---- window.c: two pages of VA that show any two PAs, and a VA whose last table lies at any PA ---- */

#define WINDOW 0x4000000000UL     /* first page: always the scratch page; second page: the target */
#define TARGET (WINDOW + GRANULE) /* VA of the target */
#define WALKED 0x4000200000UL     /* translated by a level 3 table at the target */

/* Makes the tables of the window; 0 when that fails.  rights: of a page that may be read, written and run at the
 * present EL; flush: what follows a change of a descriptor there.  The caller maps itself and turns the MMU on. */
struct stage1 *window_open(uint64_t rights, void (*flush)(uint64_t va));
/* Shows `pa` in the second page of the window and makes it the table of WALKED. */
void window_show(uint64_t pa);
/* The same of a Non-secure PA, from the Secure world. */
void window_show_ns(uint64_t pa);
/* What the page of a granule must hold so that every access to it succeeds: as a table it maps itself, as code it
 * returns.  Shows `pa` and writes it. */
void window_prepare(uint64_t pa);
/* VA whose second page can be changed from the scratch page to the target within a pair of LDXR and STXR. */
uint64_t *window_target_entry(uint64_t *scratch_descriptor, uint64_t *target_descriptor);
void window_flush(uint64_t va);

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
/* Reads the word at a VA. */
struct outcome probe_word(uint64_t va);
/* Whether the outcome is the granule protection fault that the architecture demands, to the bit. */
int refused(enum access access, const struct outcome *outcome);
/* The outcome that refused() wants. */
struct outcome expected(enum access access);
/* For the exception handler: 1 when a probe met the exception, and execution goes on behind the probe. */
int probe_exception(struct frame *frame);

#endif
