/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RMI_GRANULE_DELEGATE, RMI_GRANULE_UNDELEGATE (rmm-abi.md §3.2, §3.3, §5.1). */
#include "conformance.h"

#define DELEGATE(text, address, want)                                                                        \
    {.name = "RMI_GRANULE_DELEGATE: addr" text, .section = "§3.2", .fid = 0xc4000151, .args = {address}, .status = want}
#define DELEGATE_BAD(text, address) DELEGATE(text, address, INPUT)
#define UNDELEGATE(text, address, want)                                                                      \
    {.name = "RMI_GRANULE_UNDELEGATE: addr" text, .section = "§3.3", .fid = 0xc4000152, .args = {address},   \
     .status = want}
#define UNDELEGATE_BAD(text, address) UNDELEGATE(text, address, INPUT)

#define PATTERN 0x1122334455667788UL

static const struct row rows[] = {
    BAD_ADDRESS(DELEGATE_BAD, SPARE),
    DELEGATE(" is just past the DRAM", DRAM_END, INPUT),
    DELEGATE(" is the last page of 2^64", ~0xfffUL, INPUT),
    BAD_ADDRESS(UNDELEGATE_BAD, SPARE),
    UNDELEGATE(" is just past the DRAM", DRAM_END, INPUT),
    UNDELEGATE(" is UNDELEGATED", SPARE, INPUT),
    {.name = "RMI_GRANULE_DELEGATE: a page of data", .section = "§3.2", .fid = 0xc4000151, .args = {SPARE},
     .set = {{SPARE1, PATTERN}}, .see = {{SPARE1, PATTERN}}},
    DELEGATE(" is DELEGATED", SPARE, INPUT),
    UNDELEGATE(" is DELEGATED but not aligned", SPARE + 0x800, INPUT),
    {.name = "RMI_GRANULE_UNDELEGATE: its data is gone", .section = "§3.3", .fid = 0xc4000152, .args = {SPARE},
     .see = {{SPARE, 0}, {SPARE + 0xff8, 0}}},
    UNDELEGATE(" is UNDELEGATED again", SPARE, INPUT),
    DELEGATE(" is the last page of the DRAM", DRAM_LAST, RMI_SUCCESS),
    DELEGATE(" is the last page, DELEGATED", DRAM_LAST, INPUT),
    UNDELEGATE(" is the last page of the DRAM", DRAM_LAST, RMI_SUCCESS),
    DELEGATE(" is the first page of the DRAM", DRAM_FIRST, RMI_SUCCESS),
    UNDELEGATE(" is the first page of the DRAM", DRAM_FIRST, RMI_SUCCESS),
    {.name = "RMI_GRANULE_DELEGATE: with the SVE hint", .section = "§1.1", .fid = 0xc4010151, .args = {SPARE}},
    {.name = "RMI_GRANULE_UNDELEGATE: with the SVE hint", .section = "§1.1", .fid = 0xc4010152, .args = {SPARE},
     .see = {{SPARE, 0}, {SPARE + 0x800, 0}}},
};

static void fill(void)
{
    memset(page(SPARE), 0x5a, GRANULE);
}

SCENE(scene_granules, "granules", fill, 0);
