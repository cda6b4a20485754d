/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench.h"
#include "realm.h"

int main(void)
{
    return bench_repeat("bench-int", (void (*)(void))bench_int, bench_parameter(1000000), 0, 0);
}
