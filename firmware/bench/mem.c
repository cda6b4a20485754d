/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench.h"
#include "realm.h"

int main(void)
{
    uint64_t buffer = realm_entry.ram_base + 0x400000;
    return bench_repeat("bench-mem", (void (*)(void))bench_mem, buffer, bench_parameter(500), 0x10000);
}
