/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a debugger has asked for, of a machine and of a context (debug.c). */
#ifndef CCA_DEBUG_H
#define CCA_DEBUG_H

#include <stdbool.h>
#include <stdint.h>

enum { CCA_DEBUG_POINTS = 256, CCA_DEBUG_WATCHES = 16 };

struct cca_debug_watch {
    uint32_t id, space, access, worlds;
    uint64_t first, last;
};

struct cca_debug_machine {
    uint64_t at, near;       /* the count to stop at; from `near` on blocks have to be looked at for it */
    unsigned pending;        /* enum cca_debug_reason: the next context to run stops first */
    bool gpf;
    unsigned nwatches;
    struct cca_debug_watch watches[CCA_DEBUG_WATCHES];
};

/* An address that runs stop before, and for whom: several may want the same. */
struct cca_debug_point {
    uint64_t va, pa;
    uint8_t kinds;
};

struct cca_debug {
    struct cca_debug_point points[CCA_DEBUG_POINTS];
    unsigned npoints;
    uint8_t resume;          /* enum resume: what is not to be looked at again when it goes on */
    uint8_t step;            /* enum step */
    bool step_user;          /* ... and it is reported */
    bool passing;            /* the access being run has been looked at */
    bool stopping;           /* the block hook has stopped the engine */
    bool with_stop;          /* a run would have ended at that point without a debugger, too */
    bool held;               /* the last run ended for the debugger: its slice goes on */
    uint8_t why;             /* what for: enum cca_debug_reason, 0 to arm a point */
    uint8_t arm_kind;
    uint64_t arm_va;
    uint64_t end;            /* while resuming inside a block: where that ends */
    uint64_t step_pc;
    uint64_t pass_pc, pass_insns; /* this has been reported */
};

#endif
