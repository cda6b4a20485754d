/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RMI_DATA_CREATE, _CREATE_UNKNOWN, _DESTROY in a new realm (rmm-abi.md §3.17 to §3.19, §5.4, §5.5). */
#include "conformance.h"

#define CREATE(text, rd, data, ipa, src, flags, want)                                                        \
    {.name = "RMI_DATA_CREATE: " text, .section = "§3.17", .fid = 0xc4000153, .args = {rd, data, ipa, src, flags},  \
     .status = want}
#define CREATE_RD_BAD(text, rd) CREATE("rd" text, rd, DATA0, RAM, NS, 1, INPUT)
#define CREATE_DATA_BAD(text, data) CREATE("data" text, RD, data, RAM, NS, 1, INPUT)
#define CREATE_SRC_BAD(text, src) CREATE("src" text, RD, DATA0, RAM, src, 1, INPUT)
#define GIVE(text, rd, data, ipa, want)                                                                      \
    {.name = "RMI_DATA_CREATE_UNKNOWN: " text, .section = "§3.18", .fid = 0xc4000154, .args = {rd, data, ipa},  \
     .status = want}
#define GIVE_RD_BAD(text, rd) GIVE("rd" text, rd, DATA0, RAM, INPUT)
#define GIVE_DATA_BAD(text, data) GIVE("data" text, RD, data, RAM, INPUT)
#define DESTROY(text, rd, ipa, want, ...)                                                                    \
    {.name = "RMI_DATA_DESTROY: " text, .section = "§3.19", .fid = 0xc4000155, .args = {rd, ipa}, .status = want,  \
     .out = {__VA_ARGS__}}
#define DESTROY_RD_BAD(text, rd) DESTROY("rd" text, rd, RAM, INPUT, 0)
#define READ(text, ipa, level, ...)                                                                          \
    {.name = "RMI_RTT_READ_ENTRY: " text, .section = "§3.16", .fid = 0xc4000161, .args = {RD, ipa, level}, __VA_ARGS__}
#define UNDELEGATE(text, granule, want)                                                                      \
    {.name = "RMI_GRANULE_UNDELEGATE: " text, .section = "§5.1", .fid = 0xc4000152, .args = {granule}, .status = want}

#define P(n) (RAM + (n) * 0x1000UL)
#define TABLE_END (RAM + 2 * MB)

static void destroy_page_3(void)
{
    /* An entry that is DESTROYED: filled and destroyed. */
    must("RMI_DATA_CREATE_UNKNOWN", rmi_data_create_unknown(resolve(RD), resolve(SPARE), P(3)));
    must("RMI_DATA_DESTROY", rmi_data_destroy(resolve(RD), P(3), 0, 0));
}

static const struct row rows[] = {
    BAD_ADDRESS(CREATE_RD_BAD, RD),
    CREATE_RD_BAD(" is UNDELEGATED", PLAIN),
    CREATE_RD_BAD(" is DELEGATED", SPARE),
    CREATE_RD_BAD(" is data", DATA0),
    CREATE_RD_BAD(" is an RTT", L3),
    BAD_ADDRESS(CREATE_DATA_BAD, DATA0),
    CREATE_DATA_BAD(" is UNDELEGATED", PLAIN),
    CREATE_DATA_BAD(" is src", NS),
    CREATE_DATA_BAD(" is rd", RD),
    CREATE_DATA_BAD(" is an RTT", L3),
    CREATE_DATA_BAD(" is beyond 48 bits", 1UL << 48),
    BAD_ADDRESS(CREATE_SRC_BAD, NS),
    CREATE_SRC_BAD(" is DELEGATED", SPARE),
    CREATE_SRC_BAD(" is data", DATA0),
    CREATE_SRC_BAD(" is rd", RD),
    CREATE("flags 2", RD, DATA0, RAM, NS, 2, INPUT),
    CREATE("flags 3", RD, DATA0, RAM, NS, 3, INPUT),
    CREATE("flags 2^32", RD, DATA0, RAM, NS, 1UL << 32, INPUT),
    CREATE("ipa is unprotected", RD, DATA0, SHARED, NS, 1, INPUT),
    CREATE("ipa is the last unprotected page", RD, DATA0, IPA_END - 0x1000, NS, 1, INPUT),
    CREATE("ipa is beyond the IPA space", RD, DATA0, IPA_END + RAM, NS, 1, INPUT),
    CREATE("ipa is not aligned", RD, DATA0, RAM + 0x800, NS, 1, INPUT),
    CREATE("the walk stops at level 2", RD, DATA0, TABLE_END, NS, 1, RTT(2)),
    CREATE("the walk stops at level 1", RD, DATA0, 0, NS, 1, RTT(1)),
    CREATE("bad flags come before the walk", RD, DATA0, 0, NS, 2, INPUT),
    CREATE("a bad src comes before the walk", RD, DATA0, 0, SPARE, 1, INPUT),
    CREATE("a bad data comes before the walk", RD, PLAIN, 0, NS, 1, INPUT),
    CREATE("a bad ipa comes before the walk", RD, DATA0, 0x800, NS, 1, INPUT),
    CREATE("a page of RAM, measured", RD, DATA0, P(1), NS, 1, RMI_SUCCESS),
    READ("a page of DATA", P(1), 3, ENTRY(3, ASSIGNED, DATA0, IS_RAM)),
    CREATE("the page is there", RD, DATA1, P(1), NS, 1, RTT(3)),
    CREATE("a bad flag comes before the page that is there", RD, DATA1, P(1), NS, 4, INPUT),
    CREATE("data is DATA", RD, DATA0, P(2), NS, 1, INPUT),
    UNDELEGATE("of DATA", DATA0, INPUT),
    {.name = "RMI_GRANULE_DELEGATE: of DATA", .section = "§5.1", .fid = 0xc4000151, .args = {DATA0}, .status = INPUT},
    {.name = "RMI_RTT_CREATE: rtt is DATA", .section = "§3.11", .fid = 0xc400015d, .args = {RD, DATA0, TABLE_END, 3},
     .status = INPUT},
    CREATE("an EMPTY page becomes RAM, not measured", RD, DATA1, P(8), NS, 0, RMI_SUCCESS),
    READ("it is RAM", P(8), 3, ENTRY(3, ASSIGNED, DATA1, IS_RAM)),

    BAD_ADDRESS(DESTROY_RD_BAD, RD),
    DESTROY_RD_BAD(" is UNDELEGATED", PLAIN),
    DESTROY_RD_BAD(" is DELEGATED", SPARE),
    DESTROY_RD_BAD(" is DATA", DATA0),
    DESTROY("ipa is unprotected", RD, SHARED, INPUT, 0),
    DESTROY("ipa is beyond the IPA space", RD, IPA_END + P(1), INPUT, 0),
    DESTROY("ipa is not aligned", RD, P(1) + 0x800, INPUT, 0),
    DESTROY("UNASSIGNED, DATA follows", RD, P(0), RTT(3), 0, P(1)),
    DESTROY("UNASSIGNED, DATA follows further on", RD, P(2), RTT(3), 0, P(8)),
    DESTROY("UNASSIGNED, no DATA follows", RD, P(9), RTT(3), 0, TABLE_END),
    DESTROY("the walk stops at level 2", RD, TABLE_END, RTT(2), 0, RAM + GB),
    DESTROY("the walk stops at level 2, within an entry", RD, TABLE_END + 0x5000, RTT(2), 0, RAM + GB),
    DESTROY("the walk stops at level 1, a table follows", RD, 0x3000, RTT(1), 0, RAM),
    DESTROY("the walk stops at level 1, none follows", RD, 3 * GB, RTT(1), 0, SHARED),
    DESTROY("a page, DATA follows", RD, P(1), RMI_SUCCESS, DATA0, P(8)),
    READ("what was RAM is DESTROYED", P(1), 3, ENTRY(3, UNASSIGNED, 0, DESTROYED)),
    DESTROY("it is gone", RD, P(1), RTT(3), 0, P(8)),
    {.name = "RMI_GRANULE_UNDELEGATE: DATA was wiped", .section = "§3.19", .fid = 0xc4000152, .args = {DATA0},
     .see = {{DATA0, 0}, {DATA0 + 0xff8, 0}}},
    {.name = "RMI_GRANULE_DELEGATE: to be used again", .section = "§3.2", .fid = 0xc4000151, .args = {DATA0}},
    CREATE("over a page that is DESTROYED", RD, DATA0, P(1), NS, 1, RMI_SUCCESS),
    READ("it is RAM again", P(1), 3, ENTRY(3, ASSIGNED, DATA0, IS_RAM)),
    DESTROY("it, once more", RD, P(1), RMI_SUCCESS, DATA0, P(8)),
    DESTROY("the last page", RD, P(8), RMI_SUCCESS, DATA1, TABLE_END),

    BAD_ADDRESS(GIVE_RD_BAD, RD),
    GIVE_RD_BAD(" is UNDELEGATED", PLAIN),
    GIVE_RD_BAD(" is DELEGATED", SPARE),
    GIVE_RD_BAD(" is data", DATA0),
    BAD_ADDRESS(GIVE_DATA_BAD, DATA0),
    GIVE_DATA_BAD(" is UNDELEGATED", PLAIN),
    GIVE_DATA_BAD(" is rd", RD),
    GIVE_DATA_BAD(" is an RTT", L3),
    GIVE_DATA_BAD(" is beyond 48 bits", 1UL << 48),
    GIVE("ipa is unprotected", RD, DATA0, SHARED, INPUT),
    GIVE("ipa is beyond the IPA space", RD, DATA0, IPA_END, INPUT),
    GIVE("ipa is not aligned", RD, DATA0, RAM + 8, INPUT),
    GIVE("the walk stops at level 2", RD, DATA0, TABLE_END, RTT(2)),
    GIVE("the walk stops at level 1", RD, DATA0, GB, RTT(1)),
    GIVE("a bad data comes before the walk", RD, PLAIN, GB, INPUT),
    GIVE("a bad ipa comes before the walk", RD, DATA0, GB + 1, INPUT),
    GIVE("a page of RAM", RD, DATA0, P(2), RMI_SUCCESS),
    READ("RAM stays RAM", P(2), 3, ENTRY(3, ASSIGNED, DATA0, IS_RAM)),
    GIVE("the page is there", RD, DATA1, P(2), RTT(3)),
    GIVE("an EMPTY page", RD, DATA1, P(9), RMI_SUCCESS),
    READ("EMPTY stays EMPTY", P(9), 3, ENTRY(3, ASSIGNED, DATA1, EMPTY)),
    DESTROY("an EMPTY page", RD, P(9), RMI_SUCCESS, DATA1, TABLE_END),
    READ("EMPTY stays EMPTY afterwards", P(9), 3, ENTRY(3, UNASSIGNED, 0, EMPTY)),
    {.name = "RMI_DATA_CREATE_UNKNOWN: a DESTROYED page", .section = "§3.18", .fid = 0xc4000154,
     .args = {RD, DATA1, P(3)}, .before = destroy_page_3},
    READ("DESTROYED stays DESTROYED", P(3), 3, ENTRY(3, ASSIGNED, DATA1, DESTROYED)),
    DESTROY("a DESTROYED page", RD, P(3), RMI_SUCCESS, DATA1, TABLE_END),
    READ("DESTROYED stays DESTROYED afterwards", P(3), 3, ENTRY(3, UNASSIGNED, 0, DESTROYED)),
    DESTROY("the last DATA", RD, P(2), RMI_SUCCESS, DATA0, TABLE_END),
    UNDELEGATE("of what was DATA", DATA0, RMI_SUCCESS),
    {.name = "RMI_GRANULE_DELEGATE: as it was", .section = "§3.2", .fid = 0xc4000151, .args = {DATA0}},
};

static void setup(void)
{
    uint64_t top;
    realm_new_with_tables();
    delegate(DATA0, 2);
    delegate(SPARE, 1);
    must("RMI_RTT_INIT_RIPAS", rmi_rtt_init_ripas(resolve(RD), RAM, P(4), &top));
    memset(page(NS), 0x77, GRANULE);
}

static void teardown(void)
{
    undelegate(DATA0, 2);
    undelegate(SPARE, 1);
    realm_end_with_tables();
}

SCENE(scene_data, "data", setup, teardown);
