/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

#define REPETITIONS 6 /* the first one warms up */

void bench_int(uint64_t iterations);
void bench_mem(void *buffer, uint64_t passes);
void bench_call(void (*function)(void), uint64_t x0, uint64_t x1, uint64_t *registers);

/* The decimal number in the realm's personalization value, or `otherwise` where it has none. */
uint64_t bench_parameter(uint64_t otherwise);
/* Times nothing itself: prints a line right before and right after each repetition, then the final X0..X15.  `size`
 * bytes at x0 are zeroed first, where size is not 0. */
int bench_repeat(const char *name, void (*function)(void), uint64_t x0, uint64_t x1, uint64_t size);

#endif
