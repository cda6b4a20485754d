/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RMI_RTT_MAP_UNPROTECTED, _UNMAP_UNPROTECTED, and tables of the unprotected half (rmm-abi.md §3.11 to §3.15). */
#include "conformance.h"

#define MAP(text, rd, ipa, level, desc, want)                                                                \
    {.name = "RMI_RTT_MAP_UNPROTECTED: " text, .section = "§3.14", .fid = 0xc400015f, .args = {rd, ipa, level, desc},  \
     .status = want}
#define MAP_RD_BAD(text, rd) MAP("rd" text, rd, S(0), 3, NS + RW, INPUT)
#define UNMAP(text, rd, ipa, level, want, top)                                                               \
    {.name = "RMI_RTT_UNMAP_UNPROTECTED: " text, .section = "§3.15", .fid = 0xc4000162, .args = {rd, ipa, level},  \
     .status = want, .out = {top}}
#define UNMAP_RD_BAD(text, rd) UNMAP("rd" text, rd, S(0), 3, INPUT, 0)
#define READ(text, ipa, level, ...)                                                                          \
    {.name = "RMI_RTT_READ_ENTRY: " text, .section = "§3.16", .fid = 0xc4000161, .args = {RD, ipa, level}, __VA_ARGS__}
#define CREATE(text, rtt, ipa, level, want)                                                                  \
    {.name = "RMI_RTT_CREATE: " text, .section = "§3.11", .fid = 0xc400015d, .args = {RD, rtt, ipa, level}, .status = want}
#define FOLD(text, ipa, level, want, rtt, ...)                                                               \
    {.name = "RMI_RTT_FOLD: " text, .section = "§3.13", .fid = 0xc4000166, .args = {RD, ipa, level}, .status = want,  \
     .out = {rtt}, __VA_ARGS__}
#define DESTROY(text, ipa, level, want, ...)                                                                 \
    {.name = "RMI_RTT_DESTROY: " text, .section = "§3.12", .fid = 0xc400015e, .args = {RD, ipa, level}, .status = want,  \
     .out = {__VA_ARGS__}}

/* MemAttr write-back (6 << 2), S2AP read-write (3 << 6). */
#define RW 0xd8UL
#define RO 0x58UL
#define S(n) (SHARED + (n) * 0x1000UL)
#define S_TABLE_END (SHARED + 2 * MB)
#define MAP_BLOCK 0x40000000UL /* any address will do: it is checked when the realm uses it */

static void map(uint64_t ipa, uint64_t level, uint64_t desc)
{
    must("RMI_RTT_MAP_UNPROTECTED", rmi_rtt_map_unprotected(resolve(RD), ipa, (int64_t)level, desc));
}

static void unmap(uint64_t ipa, uint64_t level)
{
    must("RMI_RTT_UNMAP_UNPROTECTED", rmi_rtt_unmap_unprotected(resolve(RD), ipa, (int64_t)level, 0));
}

static void map_2m(void)
{
    for (uint64_t i = 0; i < 512; i++)
        map(S(i), 3, (MAP_BLOCK + i * 0x1000) | RW);
}

static void page_ro(void)
{
    map_2m();
    unmap(S(511), 3);
    map(S(511), 3, (MAP_BLOCK + 511 * 0x1000) | RO);
}

static void page_elsewhere(void)
{
    unmap(S(511), 3);
    map(S(511), 3, MAP_BLOCK | RW);
}

static void base_unaligned(void)
{
    for (uint64_t i = 0; i < 512; i++) {
        unmap(S(i), 3);
        map(S(i), 3, (MAP_BLOCK + 0x1000 + i * 0x1000) | RW);
    }
}

static void base_aligned(void)
{
    for (uint64_t i = 0; i < 512; i++)
        unmap(S(i), 3);
    map_2m();
}

static void map_1g(void)
{
    for (uint64_t i = 1; i < 512; i++)
        map(SHARED + i * 2 * MB, 2, (MAP_BLOCK + i * 2 * MB) | RW);
}

static void map_512g(void)
{
    /* From an address that a block of 512 GB could have. */
    unmap(SHARED, 1);
    for (uint64_t i = 0; i < 512; i++)
        map(SHARED + i * GB, 1, (512 * GB + i * GB) | RW);
}

static void unmap_512g(void)
{
    for (uint64_t i = 0; i < 512; i++)
        unmap(SHARED + i * GB, 1);
}

static const struct row rows[] = {
    MAP("the walk stops at the root", RD, S(0), 3, NS + RW, RTT(0)),
    MAP("level 1 stops at the root", RD, SHARED, 1, MAP_BLOCK | RW, RTT(0)),
    UNMAP("the walk stops at the root", RD, S(0), 3, RTT(0), 512 * SHARED),
    CREATE("level 1 of the unprotected half", U1, SHARED, 1, RMI_SUCCESS),
    MAP("the walk stops at level 1", RD, S(0), 3, NS + RW, RTT(1)),
    CREATE("level 2 of the unprotected half", U2, SHARED, 2, RMI_SUCCESS),
    MAP("the walk stops at level 2", RD, S(0), 3, NS + RW, RTT(2)),
    CREATE("level 3 of the unprotected half", U3, SHARED, 3, RMI_SUCCESS),
    READ("a page of the unprotected half", S(0), 3, ENTRY(3, UNASSIGNED, 0, 0)),

    BAD_ADDRESS(MAP_RD_BAD, RD),
    MAP_RD_BAD(" is UNDELEGATED", PLAIN),
    MAP_RD_BAD(" is DELEGATED", SPARE),
    MAP_RD_BAD(" is an RTT", U3),
    MAP("level 0", RD, SHARED, 0, RW, INPUT),
    MAP("level 4", RD, S(0), 4, RW, INPUT),
    MAP("level -1", RD, SHARED, -1UL, RW, INPUT),
    MAP("level 2^32 + 3", RD, S(0), (1UL << 32) + 3, NS + RW, INPUT),
    MAP("ipa is at the end of the IPA space", RD, IPA_END, 3, NS + RW, INPUT),
    MAP("ipa is not aligned for level 3", RD, S(0) + 0x800, 3, NS + RW, INPUT),
    MAP("ipa is not aligned for level 2", RD, S(1), 2, MAP_BLOCK | RW, INPUT),
    MAP("ipa is protected", RD, RAM, 3, NS + RW, INPUT),
    MAP("ipa is the last protected page", RD, SHARED - 0x1000, 3, NS + RW, INPUT),
    MAP("desc has bit 0", RD, S(0), 3, NS + RW + 1, INPUT),
    MAP("desc has bit 5", RD, S(0), 3, NS + RW + 0x20, INPUT),
    MAP("desc has SH", RD, S(0), 3, NS + RW + 0x300, INPUT),
    MAP("desc has AF", RD, S(0), 3, NS + RW + 0x400, INPUT),
    MAP("desc has bit 11", RD, S(0), 3, NS + RW + 0x800, INPUT),
    MAP("desc has NS, bit 55", RD, S(0), 3, 1UL << 55 | RW, INPUT),
    MAP("desc has XN, bit 54", RD, S(0), 3, 1UL << 54 | RW, INPUT),
    MAP("desc has bit 63", RD, S(0), 3, 1UL << 63 | RW, INPUT),
    MAP("the address is beyond 48 bits", RD, S(0), 3, 1UL << 48 | RW, INPUT),
    MAP("the address is not aligned for level 2", RD, SHARED + 2 * MB, 2, (MAP_BLOCK + 0x1000) | RW, INPUT),
    MAP("MemAttr 4 is reserved", RD, S(0), 3, NS + (RW & 0xc0) + 0x10, INPUT),
    MAP("a bad desc comes before the walk", RD, SHARED + GB, 3, NS + 1, INPUT),
    MAP("a bad ipa comes before the walk", RD, SHARED + GB + 0x800, 3, NS + RW, INPUT),
    MAP("a bad level comes before a page that is there", RD, SHARED, 0, RW, INPUT),
    MAP("an entry at level 2 that is a TABLE", RD, SHARED, 2, MAP_BLOCK | RW, RTT(2)),
    MAP("an entry at level 1 that is a TABLE", RD, SHARED, 1, MAP_BLOCK | RW, RTT(1)),
    MAP("a page", RD, S(0), 3, NS + RW, RMI_SUCCESS),
    READ("the descriptor as the host gave it", S(0), 3, ENTRY(3, ASSIGNED, NS + RW, 0)),
    MAP("a page that is there", RD, S(0), 3, NS + RW, RTT(3)),
    MAP("the same, with a bad desc", RD, S(0), 3, NS + RW + 1, INPUT),
    MAP("read-only, Device memory", RD, S(4), 3, NS + 0x44, RMI_SUCCESS),
    READ("the attributes as the host gave them", S(4), 3, ENTRY(3, ASSIGNED, NS + 0x44, 0)),
    MAP("no access, MemAttr 0", RD, S(5), 3, MMIO, RMI_SUCCESS),
    MAP("an address of the Root world", RD, S(6), 3, ROOT_WORLD + RW, RMI_SUCCESS),
    MAP("the highest address", RD, S(7), 3, (1UL << 48) - 0x1000 + RW, RMI_SUCCESS),
    MAP("a DELEGATED granule", RD, S(9), 3, SPARE + RW, RMI_SUCCESS),
    MAP("a block at level 2", RD, SHARED + 4 * MB, 2, MAP_BLOCK | RW, RMI_SUCCESS),
    READ("it", SHARED + 4 * MB, 2, ENTRY(2, ASSIGNED, MAP_BLOCK | RW, 0)),
    MAP("a page within a block", RD, SHARED + 4 * MB, 3, NS + RW, RTT(2)),
    MAP("a block at level 1", RD, SHARED + 4 * GB, 1, MAP_BLOCK | RO, RMI_SUCCESS),
    READ("within it", SHARED + 4 * GB + 0x1000, 3, ENTRY(1, ASSIGNED, MAP_BLOCK | RO, 0)),
    FOLD("a block is no TABLE", SHARED + 4 * MB, 3, RTT(2), 0),
    DESTROY("a block is no TABLE", SHARED + 4 * MB, 3, RTT(2), 0, SHARED + 4 * MB),

    BAD_ADDRESS(UNMAP_RD_BAD, RD),
    UNMAP_RD_BAD(" is UNDELEGATED", PLAIN),
    UNMAP_RD_BAD(" is DELEGATED", SPARE),
    UNMAP_RD_BAD(" is an RTT", U3),
    UNMAP("level 0", RD, SHARED, 0, INPUT, 0),
    UNMAP("level 4", RD, S(0), 4, INPUT, 0),
    UNMAP("level -1", RD, SHARED, -1UL, INPUT, 0),
    UNMAP("ipa is at the end of the IPA space", RD, IPA_END, 3, INPUT, 0),
    UNMAP("ipa is not aligned for level 3", RD, S(0) + 0x800, 3, INPUT, 0),
    UNMAP("ipa is not aligned for level 2", RD, S(1), 2, INPUT, 0),
    UNMAP("ipa is protected", RD, RAM, 3, INPUT, 0),
    UNMAP("not mapped, a page follows", RD, S(1), 3, RTT(3), S(4)),
    UNMAP("not mapped, none follows", RD, S(10), 3, RTT(3), S_TABLE_END),
    UNMAP("the walk stops at level 2, a block follows", RD, S_TABLE_END + 0x1000, 3, RTT(2), SHARED + 4 * MB),
    UNMAP("the walk stops at level 2, in a block", RD, SHARED + 4 * MB + 0x1000, 3, RTT(2), SHARED + 4 * MB + 0x1000),
    UNMAP("the walk stops at level 1, a block follows", RD, SHARED + GB, 3, RTT(1), SHARED + 4 * GB),
    UNMAP("a TABLE at level 2", RD, SHARED, 2, RTT(2), SHARED),
    UNMAP("a page, the next follows", RD, S(0), 3, RMI_SUCCESS, S(4)),
    READ("it is gone", S(0), 3, ENTRY(3, UNASSIGNED, 0, 0)),
    UNMAP("it is gone", RD, S(0), 3, RTT(3), S(4)),
    UNMAP("read-only", RD, S(4), 3, RMI_SUCCESS, S(5)),
    UNMAP("a block at level 2", RD, SHARED + 4 * MB, 2, RMI_SUCCESS, SHARED + GB),
    MAP("the block again", RD, SHARED + 4 * MB, 2, MAP_BLOCK | RW, RMI_SUCCESS),

    DESTROY("pages of the host do not keep a table", SHARED, 3, RMI_SUCCESS, U3, SHARED + 4 * MB),
    READ("they are gone with it", S(5), 3, ENTRY(2, UNASSIGNED, 0, 0)),
    CREATE("a block splits", U3, SHARED + 4 * MB, 3, RMI_SUCCESS),
    READ("its first page", SHARED + 4 * MB, 3, ENTRY(3, ASSIGNED, MAP_BLOCK | RW, 0)),
    READ("its last page", SHARED + 6 * MB - 0x1000, 3, ENTRY(3, ASSIGNED, (MAP_BLOCK + 0x1ff000) | RW, 0)),
    FOLD("the pages of the host", SHARED + 4 * MB, 3, RMI_SUCCESS, U3),
    READ("they are a block again", SHARED + 4 * MB, 2, ENTRY(2, ASSIGNED, MAP_BLOCK | RW, 0)),
    CREATE("level 3 again", U3, SHARED, 3, RMI_SUCCESS),
    FOLD("512 pages, one read-only", SHARED, 3, RTT(3), 0, .before = page_ro),
    FOLD("512 pages, one elsewhere", SHARED, 3, RTT(3), 0, .before = page_elsewhere),
    FOLD("512 pages, from an address that is no block's", SHARED, 3, RTT(3), 0, .before = base_unaligned),
    FOLD("512 pages that are one block", SHARED, 3, RMI_SUCCESS, U3, .before = base_aligned),
    UNMAP("a block at level 2, a block follows", RD, SHARED, 2, RMI_SUCCESS, SHARED + 4 * MB),
    MAP("the first block again", RD, SHARED, 2, MAP_BLOCK | RW, RMI_SUCCESS),
    UNMAP("the other block", RD, SHARED + 4 * MB, 2, RMI_SUCCESS, SHARED + GB),
    FOLD("512 blocks that are 1 GB", SHARED, 2, RMI_SUCCESS, U2, .before = map_1g),
    READ("1 GB", SHARED, 1, ENTRY(1, ASSIGNED, MAP_BLOCK | RW, 0)),
    CREATE("1 GB splits", U2, SHARED, 2, RMI_SUCCESS),
    READ("its last block", SHARED + GB - 2 * MB, 2, ENTRY(2, ASSIGNED, (MAP_BLOCK + GB - 2 * MB) | RW, 0)),
    FOLD("1 GB again", SHARED, 2, RMI_SUCCESS, U2),
    UNMAP("1 GB of another kind", RD, SHARED + 4 * GB, 1, RMI_SUCCESS, 2 * SHARED),
    FOLD("512 GB would be a block at level 0", SHARED, 1, RTT(0), 0, .before = map_512g),
    FOLD("level 1 of UNASSIGNED", SHARED, 1, RMI_SUCCESS, U1, .before = unmap_512g),
    CREATE("level 1 once more", U1, SHARED, 1, RMI_SUCCESS),
    MAP("1 GB once more", RD, SHARED, 1, MAP_BLOCK | RW, RMI_SUCCESS),
    DESTROY("blocks of the host do not keep a table", SHARED, 1, RMI_SUCCESS, U1, 512 * SHARED),
};

static void setup(void)
{
    realm_new();
    delegate(U1, 3);
    delegate(SPARE, 1);
}

static void teardown(void)
{
    undelegate(U1, 3);
    undelegate(SPARE, 1);
    realm_end();
}

SCENE(scene_shared, "the unprotected half", setup, teardown);
