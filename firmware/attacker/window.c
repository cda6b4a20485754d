/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe.h"

#define TABLES 16
#define RET 0xd65f03c0U

static uint64_t tables[TABLES * 512] __attribute__((aligned(0x1000)));
static uint64_t scratch[512] __attribute__((aligned(0x1000)));
static struct stage1 s1;
static uint64_t rights;
static void (*flush)(uint64_t va);

struct stage1 *window_open(uint64_t page_rights, void (*flush_page)(uint64_t va))
{
    rights = page_rights | S1_PAGE;
    flush = flush_page;
    s1_init(&s1, tables, TABLES);
    return s1_map(&s1, WINDOW, (uint64_t)scratch, GRANULE, page_rights) && s1_entry(&s1, WALKED, 2) ? &s1 : 0;
}

static void show(uint64_t pa, uint64_t page, uint64_t table)
{
    *s1_entry(&s1, TARGET, 3) = pa | rights | page;
    *s1_entry(&s1, WALKED, 2) = pa | S1_TABLE | table;
    flush(TARGET);
    flush(WALKED);
}

void window_show(uint64_t pa)
{
    show(pa, 0, 0);
}

void window_show_ns(uint64_t pa)
{
    show(pa, S1_NS, S1_TABLE_NS);
}

void window_prepare(uint64_t pa)
{
    window_show(pa);
    *(volatile uint64_t *)TARGET = pa | rights;
    *(volatile uint32_t *)(TARGET + PROBE_OFFSET) = RET;
    __asm__ volatile("dc cvau, %0\n dsb ish\n ic ivau, %0\n dsb ish\n isb" ::"r"(TARGET + PROBE_OFFSET) : "memory");
}

uint64_t *window_target_entry(uint64_t *scratch_descriptor, uint64_t *target_descriptor)
{
    uint64_t *entry = s1_entry(&s1, TARGET, 3);
    *scratch_descriptor = (uint64_t)scratch | rights;
    *target_descriptor = *entry;
    return entry;
}

void window_flush(uint64_t va)
{
    flush(va);
}
