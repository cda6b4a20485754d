/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A counter that several PEs add to: by a loop of exclusives, and by one atomic instruction (FEAT_LSE). */
#ifndef COUNT_H
#define COUNT_H

#include <stdint.h>

#define SMP_PES 4     /* of configs/smp.yaml: host cores, RECs of the realm */
#define SMP_ADDS 1000 /* of each PE, in each way */

static inline uint64_t load_exclusive(volatile uint64_t *at)
{
    uint64_t value;
    __asm__ volatile("ldxr %0, [%1]" : "=r"(value) : "r"(at) : "memory");
    return value;
}

/* Whether it was stored. */
static inline int store_exclusive(volatile uint64_t *at, uint64_t value)
{
    uint32_t failed;
    __asm__ volatile("stxr %w0, %2, [%1]" : "=&r"(failed) : "r"(at), "r"(value) : "memory");
    return !failed;
}

static inline void add_exclusive(volatile uint64_t *at)
{
    uint64_t value;
    uint32_t failed;
    __asm__ volatile("1: ldxr %0, [%2]\n"
                     "   add %0, %0, #1\n"
                     "   stxr %w1, %0, [%2]\n"
                     "   cbnz %w1, 1b\n"
                     : "=&r"(value), "=&r"(failed)
                     : "r"(at)
                     : "memory");
}

/* The value before. */
static inline uint64_t add_atomic(volatile uint64_t *at, uint64_t value)
{
    uint64_t before;
    __asm__ volatile("ldaddal %1, %0, [%2]" : "=&r"(before) : "r"(value), "r"(at) : "memory");
    return before;
}

#endif
