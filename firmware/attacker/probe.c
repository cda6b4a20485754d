/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe.h"

uint64_t probe_load(uint64_t va);
uint64_t probe_store(uint64_t va, uint64_t value);
uint64_t probe_fetch(uint64_t va);
uint64_t probe_ldp(uint64_t va);
uint64_t probe_ldxr(uint64_t va);
uint64_t probe_stxr(uint64_t va, uint64_t *entry, uint64_t descriptor, uint64_t tlbi);
uint64_t probe_atomic(uint64_t va);
uint64_t probe_zero(uint64_t va);

const char *const access_names[ACCESSES] = {
    "load", "store", "fetch", "LDP across", "LDXR/STXR", "LSE atomic", "DC ZVA", "stage 1 table",
};

#define ATTACK 0x41414141UL

#define WNR 0x40UL
#define GPF 0x28UL
#define GPF_ON_WALK_3 0x27UL

static struct outcome outcome;
static int armed;

int probe_exception(struct frame *frame)
{
    uint64_t ec = ESR_EC(frame->esr);
    if (!armed || (ec != EC_DABORT_SAME && ec != EC_IABORT_SAME))
        return 0;
    outcome.faults++;
    outcome.esr = frame->esr;
    outcome.far = frame->far;
    frame->x[0] = 0;
    frame->elr = frame->x[30];
    return 1;
}

static uint64_t exclusive(void)
{
    uint64_t value = probe_ldxr(TARGET + PROBE_OFFSET);
    if (!outcome.faults)
        return value;
    /* The load is refused; now the store alone, with the monitor armed elsewhere. */
    struct outcome load = outcome;
    uint64_t near, far;
    uint64_t *entry = window_target_entry(&near, &far);
    *entry = near;
    window_flush(TARGET);
    outcome.faults = 0;
    uint64_t refused_by_monitor = probe_stxr(TARGET + PROBE_OFFSET, entry, far, TARGET >> 12);
    *entry = far;
    window_flush(TARGET);
    uint64_t store_ok = outcome.faults
                            ? outcome.esr == (load.esr | WNR) && outcome.far == load.far
                            : refused_by_monitor == 1;
    outcome = load;
    return store_ok;
}

struct outcome probe(enum access access)
{
    uint64_t value = 0;
    outcome = (struct outcome){0, 0, 0, 0};
    armed = 1;
    switch (access) {
    case LOAD:
        value = probe_load(TARGET + PROBE_OFFSET);
        break;
    case STORE:
        value = probe_store(TARGET + PROBE_OFFSET, ATTACK);
        break;
    case FETCH:
        value = probe_fetch(TARGET + PROBE_OFFSET);
        break;
    case LDP:
        value = probe_ldp(TARGET - 8);
        break;
    case EXCLUSIVE:
        value = exclusive();
        break;
    case ATOMIC:
        value = probe_atomic(TARGET + PROBE_OFFSET);
        break;
    case ZERO:
        value = probe_zero(TARGET + PROBE_OFFSET);
        break;
    default:
        value = probe_load(WALKED + PROBE_OFFSET);
    }
    armed = 0;
    outcome.value = value;
    return outcome;
}

struct outcome probe_word(uint64_t va)
{
    outcome = (struct outcome){0, 0, 0, 0};
    armed = 1;
    uint64_t value = probe_load(va);
    armed = 0;
    outcome.value = value;
    return outcome;
}

struct outcome expected(enum access access)
{
    uint64_t ec = access == FETCH ? EC_IABORT_SAME : EC_DABORT_SAME;
    uint64_t iss = access == WALK ? GPF_ON_WALK_3 : GPF;
    struct outcome wanted = {1, 0, TARGET + PROBE_OFFSET, 0};
    if (access == STORE || access == ZERO)
        iss |= WNR;
    if (access == LDP)
        wanted.far = TARGET;
    if (access == WALK)
        wanted.far = WALKED + PROBE_OFFSET;
    wanted.esr = ec << 26 | 1UL << 25 | iss;
    return wanted;
}

int refused(enum access access, const struct outcome *got)
{
    struct outcome wanted = expected(access);
    return got->faults == wanted.faults && got->esr == wanted.esr && got->far == wanted.far &&
           (access != EXCLUSIVE || got->value);
}
