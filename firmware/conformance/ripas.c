/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RMI_RTT_INIT_RIPAS (rmm-abi.md §3.20). */
#include "conformance.h"

#define INIT(text, rd, base, top, want, out_top)                                                             \
    {.name = "RMI_RTT_INIT_RIPAS: " text, .section = "§3.20", .fid = 0xc4000168, .args = {rd, base, top}, .status = want,  \
     .out = {out_top}}
#define INIT_RD_BAD(text, rd) INIT("rd" text, rd, RAM, RAM + 0x1000, INPUT, 0)
#define READ(text, ipa, level, ...)                                                                          \
    {.name = "RMI_RTT_READ_ENTRY: " text, .section = "§3.16", .fid = 0xc4000161, .args = {RD, ipa, level}, __VA_ARGS__}
#define P(n) (RAM + (n) * 0x1000UL)
#define TABLE_END (RAM + 2 * MB)

static const struct row rows[] = {
    BAD_ADDRESS(INIT_RD_BAD, RD),
    INIT_RD_BAD(" is UNDELEGATED", PLAIN),
    INIT_RD_BAD(" is DELEGATED", SPARE),
    INIT_RD_BAD(" is an RTT", L3),
    INIT("top is base", RD, RAM, RAM, INPUT, 0),
    INIT("top is below base", RD, P(1), RAM, INPUT, 0),
    INIT("base is not aligned", RD, RAM + 0x800, P(1), INPUT, 0),
    INIT("top is not aligned", RD, RAM, P(1) + 0x800, INPUT, 0),
    INIT("base is unprotected", RD, SHARED, SHARED + 0x1000, INPUT, 0),
    INIT("top is unprotected", RD, RAM, SHARED + 0x1000, INPUT, 0),
    INIT("top is beyond the IPA space", RD, RAM, IPA_END + 0x1000, INPUT, 0),
    INIT("base is beyond the IPA space", RD, IPA_END, IPA_END + 0x1000, INPUT, 0),
    INIT("base is not aligned at level 2", RD, TABLE_END + 0x1000, TABLE_END + 2 * MB, RTT(2), 0),
    INIT("base is not aligned at level 1", RD, 0x200000, GB, RTT(1), 0),
    INIT("top is within the entry at level 2", RD, TABLE_END, TABLE_END + 0x1000, RTT(2), 0),
    INIT("top is within the entry at level 1", RD, 0, 2 * MB, RTT(1), 0),
    INIT("an unaligned top comes before the walk", RD, TABLE_END, TABLE_END + 0x800, INPUT, 0),
    INIT("an unaligned base comes before the walk", RD, TABLE_END + 0x800, TABLE_END + 0x1000, INPUT, 0),
    INIT("the page is DATA", RD, P(2), P(3), RTT(3), 0),
    INIT("the page is DESTROYED", RD, P(5), P(6), RTT(3), 0),
    INIT("one page", RD, P(0), P(1), RMI_SUCCESS, P(1)),
    READ("it is RAM", P(0), 3, ENTRY(3, UNASSIGNED, 0, IS_RAM)),
    READ("the next one is not", P(1), 3, ENTRY(3, UNASSIGNED, 0, EMPTY)),
    INIT("RAM already, as far as the DATA", RD, P(0), P(8), RMI_SUCCESS, P(2)),
    READ("what came before the DATA is RAM", P(1), 3, ENTRY(3, UNASSIGNED, 0, IS_RAM)),
    READ("what came after it is not", P(3), 3, ENTRY(3, UNASSIGNED, 0, EMPTY)),
    INIT("as far as the page that is DESTROYED", RD, P(3), P(8), RMI_SUCCESS, P(5)),
    INIT("no further than the table", RD, P(510), P(514), RMI_SUCCESS, TABLE_END),
    READ("the last page is RAM", P(511), 3, ENTRY(3, UNASSIGNED, 0, IS_RAM)),
    INIT("2 MB at level 2", RD, TABLE_END, TABLE_END + 2 * MB, RMI_SUCCESS, TABLE_END + 2 * MB),
    READ("they are RAM", TABLE_END, 2, ENTRY(2, UNASSIGNED, 0, IS_RAM)),
    INIT("2 MB and a page at level 2", RD, TABLE_END + 2 * MB, TABLE_END + 4 * MB + 0x1000, RMI_SUCCESS,
         TABLE_END + 4 * MB),
    INIT("as far as the end of level 2", RD, TABLE_END, 4 * GB, RMI_SUCCESS, RAM + GB),
    INIT("level 1, up to a table", RD, 0, SHARED, RMI_SUCCESS, RAM),
    READ("1 GB of RAM", GB, 1, ENTRY(1, UNASSIGNED, 0, IS_RAM)),
    INIT("a table is no page: the walk goes on into it", RD, RAM, SHARED, RMI_SUCCESS, P(2)),
    INIT("up to the end of the protected half", RD, RAM + GB, SHARED, RMI_SUCCESS, SHARED),
};

static void setup(void)
{
    realm_new_with_tables();
    delegate(DATA0, 1);
    delegate(SPARE, 1);
    uint64_t rd = resolve(RD), top;
    must("RMI_RTT_INIT_RIPAS", rmi_rtt_init_ripas(rd, P(5), P(6), &top));
    must("RMI_DATA_CREATE_UNKNOWN", rmi_data_create_unknown(rd, resolve(DATA0), P(5)));
    must("RMI_DATA_DESTROY", rmi_data_destroy(rd, P(5), 0, 0));
    must("RMI_DATA_CREATE_UNKNOWN", rmi_data_create_unknown(rd, resolve(DATA0), P(2)));
}

static void teardown(void)
{
    must("RMI_DATA_DESTROY", rmi_data_destroy(resolve(RD), P(2), 0, 0));
    undelegate(DATA0, 1);
    undelegate(SPARE, 1);
    realm_end_with_tables();
}

SCENE(scene_ripas, "initial RIPAS", setup, teardown);
