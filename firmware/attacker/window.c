/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "attacker.h"
#include "stage1.h"

#define TABLES 16

static uint64_t tables[TABLES * 512] __attribute__((aligned(0x1000)));
static uint64_t scratch[512] __attribute__((aligned(0x1000)));
static struct stage1 s1;

#define WINDOW_RIGHTS (S1_CODE | S1_EL2 | S1_PAGE)

void window_init(const struct ccab_host_info *info)
{
    s1_init(&s1, tables, TABLES);
    int ok = 1;
    for (uint32_t i = 0; i < info->num_banks; i++)
        ok = ok && s1_map(&s1, info->bank_base[i], info->bank_base[i], info->bank_size[i], S1_CODE | S1_EL2);
    ok = ok && s1_map(&s1, info->console_pa, info->console_pa, GRANULE, S1_MMIO | S1_EL2);
    for (uint32_t i = 0; i < info->num_realms; i++) {
        uint64_t uart = ccab_realm(info, i)->console_pa;
        ok = ok && (!uart || s1_map(&s1, uart, uart, GRANULE, S1_MMIO | S1_EL2));
    }
    ok = ok && s1_map(&s1, WINDOW, (uint64_t)scratch, GRANULE, WINDOW_RIGHTS);
    ok = ok && s1_entry(&s1, WALKED, 2);
    if (!ok) {
        print("attacker: out of translation tables\n");
        host_exit(VMM_NO_MEMORY);
    }
    s1_enable_el2(&s1);
}

void window_show(uint64_t pa)
{
    *s1_entry(&s1, TARGET, 3) = pa | WINDOW_RIGHTS;
    *s1_entry(&s1, WALKED, 2) = pa | S1_TABLE;
    s1_flush_el2(TARGET);
    s1_flush_el2(WALKED);
}

uint64_t *window_target_entry(uint64_t *scratch_descriptor, uint64_t *target_descriptor)
{
    uint64_t *entry = s1_entry(&s1, TARGET, 3);
    *scratch_descriptor = (uint64_t)scratch | WINDOW_RIGHTS;
    *target_descriptor = *entry;
    return entry;
}
