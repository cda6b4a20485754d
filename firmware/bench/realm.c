/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench.h"
#include "realm.h"

static struct rsi_realm_config config __attribute__((aligned(0x1000)));

uint64_t bench_parameter(uint64_t otherwise)
{
    if (rsi_realm_config((uint64_t)&config) != RSI_SUCCESS)
        realm_exit(2);
    uint64_t value = 0;
    for (unsigned i = 0; i < sizeof config.rpv && config.rpv[i] >= '0' && config.rpv[i] <= '9'; i++)
        value = value * 10 + (uint64_t)(config.rpv[i] - '0');
    return value ? value : otherwise;
}

int bench_repeat(const char *name, void (*function)(void), uint64_t x0, uint64_t x1, uint64_t size)
{
    uint64_t registers[16];
    for (unsigned i = 0; i < REPETITIONS; i++) {
        if (size)
            memset((void *)x0, 0, size);
        print("%s: start %u: x0=0x%lx x1=0x%lx\n", name, i, x0, x1);
        bench_call(function, x0, x1, registers);
        const uint64_t *r = registers;
        print("%s: end %u\n", name, i);
        print("%s: x0..x15 %lx %lx %lx %lx %lx %lx %lx %lx %lx %lx %lx %lx %lx %lx %lx %lx\n", name, r[0], r[1], r[2],
              r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
    }
    return 0;
}
