/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Round trips REC_ENTER -> RSI_HOST_CALL -> REC_ENTER. */
#include "bench.h"
#include "realm.h"

static struct rsi_host_call call __attribute__((aligned(0x100)));

int main(void)
{
    uint64_t calls = bench_parameter(10000);
    call.imm = CCAB_HC_NOP;
    for (unsigned i = 0; i < REPETITIONS; i++) {
        print("bench-hostcall: start %u: %lu calls\n", i, calls);
        for (uint64_t n = 0; n < calls; n++)
            if (rsi_host_call((uint64_t)&call) != RSI_SUCCESS)
                return 1;
        print("bench-hostcall: end %u\n", i);
    }
    return 0;
}
