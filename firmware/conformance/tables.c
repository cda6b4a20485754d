/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RMI_RTT_CREATE, _READ_ENTRY, _DESTROY, _FOLD in the protected half (rmm-abi.md §3.11 to §3.13, §3.16, §5.5). */
#include "conformance.h"

#define CREATE(text, rd, rtt, ipa, level, want)                                                              \
    {.name = "RMI_RTT_CREATE: " text, .section = "§3.11", .fid = 0xc400015d, .args = {rd, rtt, ipa, level}, .status = want}
#define CREATE_RTT_BAD(text, rtt) CREATE("rtt" text, RD, rtt, 0, 1, INPUT)
#define CREATE_RD_BAD(text, rd) CREATE("rd" text, rd, L1, 0, 1, INPUT)
#define READ(text, ipa, level, ...)                                                                          \
    {.name = "RMI_RTT_READ_ENTRY: " text, .section = "§3.16", .fid = 0xc4000161, .args = {RD, ipa, level}, __VA_ARGS__}
#define READ_RD_BAD(text, rd)                                                                                \
    {.name = "RMI_RTT_READ_ENTRY: rd" text, .section = "§3.16", .fid = 0xc4000161, .args = {rd, 0, 0}, .status = INPUT}
#define DESTROY(text, rd, ipa, level, want, ...)                                                             \
    {.name = "RMI_RTT_DESTROY: " text, .section = "§3.12", .fid = 0xc400015e, .args = {rd, ipa, level}, .status = want,  \
     .out = {__VA_ARGS__}}
#define DESTROY_RD_BAD(text, rd) DESTROY("rd" text, rd, RAM, 3, INPUT, 0)
#define FOLD(text, rd, ipa, level, want, rtt)                                                                \
    {.name = "RMI_RTT_FOLD: " text, .section = "§3.13", .fid = 0xc4000166, .args = {rd, ipa, level}, .status = want,  \
     .out = {rtt}}
#define FOLD_RD_BAD(text, rd) FOLD("rd" text, rd, RAM, 3, INPUT, 0)
#define MAP_BLOCK_PAGE(text, ipa, want)                                                                      \
    {.name = "RMI_DATA_DESTROY: " text, .section = "§3.19", .fid = 0xc4000155, .args = {RD, ipa}, .status = want,  \
     .out = {0, RAM}}

/* 2 MB of DATA at RAM, in the order of BLOCK. */
static void fill_table(void)
{
    delegate(BLOCK, FOLDABLE);
    for (uint64_t i = 0; i < FOLDABLE; i++)
        must("RMI_DATA_CREATE_UNKNOWN",
             rmi_data_create_unknown(resolve(RD), resolve(BLOCK) + i * GRANULE, RAM + i * GRANULE));
}

static void empty_table(void)
{
    for (uint64_t i = 0; i < FOLDABLE; i++)
        must("RMI_DATA_DESTROY", rmi_data_destroy(resolve(RD), RAM + i * GRANULE, 0, 0));
    undelegate(BLOCK, FOLDABLE);
}

/* Two neighbours in each other's place. */
static void swap(uint64_t ipa)
{
    uint64_t rd = resolve(RD), a, b;
    must("RMI_DATA_DESTROY", rmi_data_destroy(rd, ipa, &a, 0));
    must("RMI_DATA_DESTROY", rmi_data_destroy(rd, ipa + GRANULE, &b, 0));
    must("RMI_DATA_CREATE_UNKNOWN", rmi_data_create_unknown(rd, b, ipa));
    must("RMI_DATA_CREATE_UNKNOWN", rmi_data_create_unknown(rd, a, ipa + GRANULE));
}

static void swap_pages(void)
{
    /* All of them DESTROYED, so that RIPAS makes no difference. */
    for (uint64_t i = 0; i < FOLDABLE; i += 2)
        swap(RAM + i * GRANULE);
}

static void swap_pages_back(void)
{
    swap_pages();
}

static void drop_last(void)
{
    must("RMI_DATA_DESTROY", rmi_data_destroy(resolve(RD), RAM + 511 * GRANULE, 0, 0));
}

static void restore_last(void)
{
    must("RMI_DATA_CREATE_UNKNOWN",
         rmi_data_create_unknown(resolve(RD), resolve(BLOCK) + 511 * GRANULE, RAM + 511 * GRANULE));
}

static void init_ripas(void)
{
    uint64_t top;
    must("RMI_RTT_INIT_RIPAS", rmi_rtt_init_ripas(resolve(RD), RAM, RAM + 2 * MB, &top));
}

static void init_one_page(void)
{
    uint64_t top;
    must("RMI_RTT_INIT_RIPAS", rmi_rtt_init_ripas(resolve(RD), RAM + 0x5000, RAM + 0x6000, &top));
}

static const struct row rows[] = {
    BAD_ADDRESS(CREATE_RTT_BAD, L1),
    CREATE_RTT_BAD(" is UNDELEGATED", PLAIN),
    CREATE_RTT_BAD(" is an RTT", ROOT),
    CREATE_RTT_BAD(" is rd", RD),
    CREATE_RTT_BAD(" is beyond 48 bits", 1UL << 48),
    BAD_ADDRESS(CREATE_RD_BAD, RD),
    CREATE_RD_BAD(" is UNDELEGATED", PLAIN),
    CREATE_RD_BAD(" is DELEGATED", SPARE),
    CREATE_RD_BAD(" is rtt", L1),
    CREATE_RD_BAD(" is an RTT", ROOT),
    CREATE("level 0 is the start level", RD, L1, 0, 0, INPUT),
    CREATE("level -1", RD, L1, 0, -1UL, INPUT),
    CREATE("level 4", RD, L1, 0, 4, INPUT),
    CREATE("level 2^32 + 1", RD, L1, 0, (1UL << 32) + 1, INPUT),
    CREATE("level -2^63", RD, L1, 0, 1UL << 63, INPUT),
    CREATE("ipa is at the end of the IPA space", RD, L1, IPA_END, 1, INPUT),
    CREATE("ipa is beyond 48 bits", RD, L1, 1UL << 48, 1, INPUT),
    CREATE("ipa is not aligned for level 1", RD, L1, RAM, 1, INPUT),
    CREATE("ipa is not aligned for level 3", RD, L1, RAM + 0x1000, 3, INPUT),
    CREATE("level 2 stops at the root", RD, L2, RAM, 2, RTT(0)),
    CREATE("level 3 stops at the root", RD, L3, RAM, 3, RTT(0)),
    CREATE("a bad ipa comes before the walk", RD, L2, RAM + 0x1000, 2, INPUT),
    CREATE("a bad rtt comes before the walk", RD, PLAIN, RAM, 2, INPUT),
    CREATE("level 1", RD, L1, 0, 1, RMI_SUCCESS),
    CREATE("level 1 is there", RD, SPARE, 0, 1, RTT(0)),
    CREATE("a bad rtt comes before a table that is there", RD, PLAIN, 0, 1, INPUT),
    CREATE("rtt is in use", RD, L1, RAM, 2, INPUT),
    CREATE("level 3 stops at level 1", RD, L3, RAM, 3, RTT(1)),
    CREATE("level 2", RD, L2, RAM, 2, RMI_SUCCESS),
    CREATE("level 2 is there", RD, SPARE, RAM, 2, RTT(1)),
    CREATE("level 3", RD, L3, RAM, 3, RMI_SUCCESS),
    CREATE("level 3 is there", RD, SPARE, RAM, 3, RTT(2)),
    {.name = "RMI_GRANULE_UNDELEGATE: of an RTT below the root", .section = "§5.1", .fid = 0xc4000152, .args = {L3},
     .status = INPUT},
    {.name = "RMI_REALM_DESTROY: a root RTT has a TABLE", .section = "§3.6", .fid = 0xc4000159, .args = {RD},
     .status = REALM(0)},

    BAD_ADDRESS(READ_RD_BAD, RD),
    READ_RD_BAD(" is UNDELEGATED", PLAIN),
    READ_RD_BAD(" is DELEGATED", SPARE),
    READ_RD_BAD(" is an RTT", ROOT),
    READ("level -1", 0, -1UL, .status = INPUT),
    READ("level 4", 0, 4, .status = INPUT),
    READ("level 2^32", 0, 1UL << 32, .status = INPUT),
    READ("ipa is at the end of the IPA space", IPA_END, 0, .status = INPUT),
    READ("ipa is not aligned for level 0", RAM, 0, .status = INPUT),
    READ("ipa is not aligned for level 2", RAM + 0x1000, 2, .status = INPUT),
    READ("ipa is not aligned for level 3", RAM + 0x800, 3, .status = INPUT),
    READ("a TABLE at level 0", 0, 0, ENTRY(0, TABLE, L1, 0)),
    READ("a TABLE at level 1", RAM, 1, ENTRY(1, TABLE, L2, 0)),
    READ("a TABLE at level 2", RAM, 2, ENTRY(2, TABLE, L3, 0)),
    READ("a page", RAM, 3, ENTRY(3, UNASSIGNED, 0, EMPTY)),
    READ("the walk stops at level 2", RAM + 2 * MB, 3, ENTRY(2, UNASSIGNED, 0, EMPTY)),
    READ("the walk stops at level 1", RAM + GB, 3, ENTRY(1, UNASSIGNED, 0, EMPTY)),

    BAD_ADDRESS(FOLD_RD_BAD, RD),
    FOLD_RD_BAD(" is UNDELEGATED", PLAIN),
    FOLD_RD_BAD(" is DELEGATED", SPARE),
    FOLD_RD_BAD(" is an RTT", L3),
    FOLD("level 0", RD, 0, 0, INPUT, 0),
    FOLD("level 4", RD, RAM, 4, INPUT, 0),
    FOLD("level -1", RD, RAM, -1UL, INPUT, 0),
    FOLD("ipa is at the end of the IPA space", RD, IPA_END, 3, INPUT, 0),
    FOLD("ipa is not aligned for level 3", RD, RAM + 0x1000, 3, INPUT, 0),
    FOLD("the walk stops at level 1", RD, RAM + GB, 3, RTT(1), 0),
    FOLD("the entry at level 2 is no TABLE", RD, RAM + 2 * MB, 3, RTT(2), 0),
    FOLD("the entry at level 1 is no TABLE", RD, RAM + GB, 2, RTT(1), 0),
    FOLD("the child holds a TABLE, level 2", RD, RAM, 2, RTT(2), 0),
    FOLD("the child holds a TABLE, level 1", RD, 0, 1, RTT(1), 0),
    {.name = "RMI_RTT_FOLD: one page is RAM, the rest EMPTY", .section = "§3.13", .fid = 0xc4000166,
     .args = {RD, RAM, 3}, .status = RTT(3), .before = init_one_page},
    {.name = "RMI_RTT_FOLD: 512 pages of RAM", .section = "§3.13", .fid = 0xc4000166, .args = {RD, RAM, 3}, .out = {L3},
     .before = init_ripas},
    READ("they became 2 MB of RAM", RAM, 2, ENTRY(2, UNASSIGNED, 0, IS_RAM)),
    {.name = "RMI_GRANULE_UNDELEGATE: a folded RTT is DELEGATED and wiped", .section = "§3.13", .fid = 0xc4000152,
     .args = {L3}, .see = {{L3, 0}, {L3 + 0xff8, 0}}},
    {.name = "RMI_GRANULE_DELEGATE: to be used again", .section = "§3.2", .fid = 0xc4000151, .args = {L3}},
    CREATE("RAM splits", RD, L3, RAM, 3, RMI_SUCCESS),
    READ("the first page is RAM", RAM, 3, ENTRY(3, UNASSIGNED, 0, IS_RAM)),
    READ("the last page is RAM", RAM + 2 * MB - 0x1000, 3, ENTRY(3, UNASSIGNED, 0, IS_RAM)),

    /* 512 pages of DATA, RAM */
    {.name = "RMI_RTT_FOLD: 512 pages of DATA", .section = "§3.13", .fid = 0xc4000166, .args = {RD, RAM, 3}, .out = {L3},
     .before = fill_table},
    READ("they became a block", RAM, 2, ENTRY(2, ASSIGNED, BLOCK, IS_RAM)),
    READ("within the block", RAM + 0x5000, 3, ENTRY(2, ASSIGNED, BLOCK, IS_RAM)),
    MAP_BLOCK_PAGE("within a block", RAM, RTT(2)),
    DESTROY("a block is no table", RD, RAM, 3, RTT(2), 0, RAM),
    {.name = "RMI_DATA_CREATE_UNKNOWN: within a block", .section = "§3.18", .fid = 0xc4000154,
     .args = {RD, SPARE, RAM}, .status = RTT(2)},
    CREATE("a block splits", RD, L3, RAM, 3, RMI_SUCCESS),
    READ("its first page", RAM, 3, ENTRY(3, ASSIGNED, BLOCK, IS_RAM)),
    READ("its last page", RAM + 0x1ff000, 3, ENTRY(3, ASSIGNED, BLOCK + 0x1ff000, IS_RAM)),
    DESTROY("the split block is live", RD, RAM, 3, RTT(3), 0, RAM),
    {.name = "RMI_RTT_FOLD: one page is missing", .section = "§3.13", .fid = 0xc4000166, .args = {RD, RAM, 3},
     .status = RTT(3), .before = drop_last},
    {.name = "RMI_RTT_FOLD: one page is DESTROYED, the rest RAM", .section = "§3.13", .fid = 0xc4000166,
     .args = {RD, RAM, 3}, .status = RTT(3), .before = restore_last},
    {.name = "RMI_RTT_FOLD: the pages are not contiguous", .section = "§3.13", .fid = 0xc4000166,
     .args = {RD, RAM, 3}, .status = RTT(3), .before = swap_pages},
    {.name = "RMI_RTT_FOLD: 512 pages of DATA, DESTROYED", .section = "§3.13", .fid = 0xc4000166, .args = {RD, RAM, 3},
     .out = {L3}, .before = swap_pages_back},
    READ("a block that is DESTROYED", RAM, 2, ENTRY(2, ASSIGNED, BLOCK, DESTROYED)),
    CREATE("a block that is DESTROYED splits", RD, L3, RAM, 3, RMI_SUCCESS),
    READ("a page of it", RAM + 0x3000, 3, ENTRY(3, ASSIGNED, BLOCK + 0x3000, DESTROYED)),
    {.name = "RMI_RTT_FOLD: 512 pages that are UNASSIGNED, DESTROYED", .section = "§3.13", .fid = 0xc4000166,
     .args = {RD, RAM, 3}, .out = {L3}, .before = empty_table},
    READ("they became 2 MB that are DESTROYED", RAM, 2, ENTRY(2, UNASSIGNED, 0, DESTROYED)),
    CREATE("what is DESTROYED splits", RD, L3, RAM, 3, RMI_SUCCESS),
    READ("its pages are DESTROYED", RAM + 0x1000, 3, ENTRY(3, UNASSIGNED, 0, DESTROYED)),

    BAD_ADDRESS(DESTROY_RD_BAD, RD),
    DESTROY_RD_BAD(" is UNDELEGATED", PLAIN),
    DESTROY_RD_BAD(" is DELEGATED", SPARE),
    DESTROY_RD_BAD(" is an RTT", L3),
    DESTROY("level 0", RD, 0, 0, INPUT, 0),
    DESTROY("level 4", RD, RAM, 4, INPUT, 0),
    DESTROY("level -1", RD, 0, -1UL, INPUT, 0),
    DESTROY("ipa is at the end of the IPA space", RD, IPA_END, 1, INPUT, 0),
    DESTROY("ipa is not aligned for level 3", RD, RAM + 0x1000, 3, INPUT, 0),
    DESTROY("ipa is not aligned for level 2", RD, RAM + 2 * MB, 2, INPUT, 0),
    DESTROY("the walk stops at level 1, a table follows", RD, 0, 3, RTT(1), 0, RAM),
    DESTROY("the walk stops at level 1, none follows", RD, RAM + GB, 3, RTT(1), 0, SHARED),
    DESTROY("the walk stops at level 1, top is of an entry", RD, RAM + GB + 2 * MB, 3, RTT(1), 0, SHARED),
    DESTROY("the entry at level 1 is no TABLE", RD, 0, 2, RTT(1), 0, RAM),
    DESTROY("the entry at level 2 is no TABLE", RD, RAM + 2 * MB, 3, RTT(2), 0, RAM + GB),
    DESTROY("level 2 holds a table", RD, RAM, 2, RTT(2), 0, RAM),
    DESTROY("level 1 holds a table", RD, 0, 1, RTT(1), 0, 0),
    DESTROY("level 3", RD, RAM, 3, RMI_SUCCESS, L3, RAM + GB),
    READ("what it covered is DESTROYED", RAM, 3, ENTRY(2, UNASSIGNED, 0, DESTROYED)),
    DESTROY("level 3 is gone", RD, RAM, 3, RTT(2), 0, RAM + GB),
    DESTROY("level 2", RD, RAM, 2, RMI_SUCCESS, L2, SHARED),
    READ("what level 2 covered is DESTROYED", RAM, 1, ENTRY(1, UNASSIGNED, 0, DESTROYED)),
    FOLD("level 1 is not homogeneous", RD, 0, 1, RTT(1), 0),
    DESTROY("level 1", RD, 0, 1, RMI_SUCCESS, L1, IPA_END / 2 * 512),
    READ("all is DESTROYED", 0, 0, ENTRY(0, UNASSIGNED, 0, DESTROYED)),
    CREATE("level 1 of what is DESTROYED", RD, L1, 0, 1, RMI_SUCCESS),
    FOLD("level 1 of what is UNASSIGNED", RD, 0, 1, RMI_SUCCESS, L1),
    READ("folding keeps RIPAS", 0, 0, ENTRY(0, UNASSIGNED, 0, DESTROYED)),
    CREATE("level 1 of the unprotected half", RD, U1, SHARED, 1, RMI_SUCCESS),
    DESTROY("a table of the unprotected half follows", RD, 0, 1, RTT(0), 0, SHARED),
    FOLD("level 1 of the unprotected half", RD, SHARED, 1, RMI_SUCCESS, U1),
    READ("the unprotected half has no RIPAS", SHARED, 0, ENTRY(0, UNASSIGNED, 0, 0)),
};

static void setup(void)
{
    realm_new();
    delegate(L1, 4);
    delegate(SPARE, 1);
}

static void teardown(void)
{
    realm_end();
    undelegate(L1, 4);
    undelegate(SPARE, 1);
}

SCENE(scene_tables, "translation tables", setup, teardown);
