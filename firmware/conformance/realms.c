/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RMI_REALM_CREATE, _ACTIVATE, _DESTROY, RMI_REC_AUX_COUNT of realms without RECs (rmm-abi.md §3.4 to §3.7). */
#include "conformance.h"

#define FIELD(field, value) {PARAMS + offsetof(struct rmi_realm_params, field), value}
#define CREATE(text, rd, params, want)                                                                       \
    {.name = "RMI_REALM_CREATE: " text, .section = "§3.4", .fid = 0xc4000158, .args = {rd, params}, .status = want}
#define CREATE_RD_BAD(text, rd) CREATE("rd" text, rd, PARAMS, INPUT)
#define CREATE_PARAMS_BAD(text, params) CREATE("params" text, RD, params, INPUT)
#define CREATE_WITH(text, want, ...)                                                                         \
    {.name = "RMI_REALM_CREATE: " text, .section = "§3.4", .fid = 0xc4000158, .args = {RD, PARAMS}, .status = want,  \
     .set = {__VA_ARGS__}}
#define ROOT_BAD(text, address) CREATE_WITH("rtt_base" text, INPUT, FIELD(rtt_base, address))
#define SHAPE(text, width, level, count, want)                                                               \
    CREATE_WITH(text, want, FIELD(s2sz, width), FIELD(rtt_level_start, level), FIELD(rtt_num_start, count),  \
                FIELD(rtt_base, ROOT2))
#define ACTIVATE(text, rd, want)                                                                             \
    {.name = "RMI_REALM_ACTIVATE: " text, .section = "§3.5", .fid = 0xc4000157, .args = {rd}, .status = want}
#define ACTIVATE_BAD(text, rd) ACTIVATE("rd" text, rd, INPUT)
#define DESTROY(text, rd, want)                                                                              \
    {.name = "RMI_REALM_DESTROY: " text, .section = "§3.6", .fid = 0xc4000159, .args = {rd}, .status = want}
#define DESTROY_BAD(text, rd) DESTROY("rd" text, rd, INPUT)
#define AUX_COUNT(text, rd, want, count)                                                                     \
    {.name = "RMI_REC_AUX_COUNT: " text, .section = "§3.7", .fid = 0xc4000167, .args = {rd}, .status = want, .out = {count}}
#define AUX_COUNT_BAD(text, rd) AUX_COUNT("rd" text, rd, INPUT, 0)
#define READ(text, ipa, level, ...)                                                                          \
    {.name = "RMI_RTT_READ_ENTRY: " text, .section = "§3.16", .fid = 0xc4000161, .args = {RD, ipa, level}, __VA_ARGS__}
#define LEVEL_MINUS_1 ~0UL

static const struct row rows[] = {
    BAD_ADDRESS(CREATE_PARAMS_BAD, PARAMS),
    CREATE_PARAMS_BAD(" is DELEGATED", SPARE),
    CREATE_PARAMS_BAD(" is rd", RD),
    BAD_ADDRESS(CREATE_RD_BAD, RD),
    CREATE_RD_BAD(" is UNDELEGATED", PLAIN),
    CREATE_RD_BAD(" is params", PARAMS),
    CREATE_RD_BAD(" is rtt_base", ROOT),
    BAD_ADDRESS(ROOT_BAD, ROOT),
    ROOT_BAD(" is UNDELEGATED", PLAIN),
    ROOT_BAD(" is rd", RD),
    CREATE_WITH("LPA2 is not offered", INPUT, FIELD(flags, 1)),
    CREATE_WITH("SVE is not offered", INPUT, FIELD(flags, 2)),
    CREATE_WITH("the PMU is not offered", INPUT, FIELD(flags, 4)),
    CREATE_WITH("s2sz 0", INPUT, FIELD(s2sz, 0)),
    CREATE_WITH("s2sz 31, level 1", INPUT, FIELD(s2sz, 31), FIELD(rtt_level_start, 1)),
    CREATE_WITH("s2sz 49", INPUT, FIELD(s2sz, 49)),
    CREATE_WITH("s2sz 52, level -1", INPUT, FIELD(s2sz, 52), FIELD(rtt_level_start, LEVEL_MINUS_1)),
    CREATE_WITH("num_bps 0 is reserved", INPUT, FIELD(num_bps, 0)),
    CREATE_WITH("num_bps 2 is more than offered", INPUT, FIELD(num_bps, 2)),
    CREATE_WITH("num_wps 0 is reserved", INPUT, FIELD(num_wps, 0)),
    CREATE_WITH("num_wps 2 is more than offered", INPUT, FIELD(num_wps, 2)),
    SHAPE("39 bits from level 0", 39, 0, 1, INPUT),
    SHAPE("40 bits from level -1", 40, LEVEL_MINUS_1, 1, INPUT),
    SHAPE("44 bits from level 1", 44, 1, 16, INPUT),
    SHAPE("35 bits from level 2", 35, 2, 16, INPUT),
    SHAPE("32 bits from level 3", 32, 3, 16, INPUT),
    SHAPE("40 bits from level 4", 40, 4, 1, INPUT),
    SHAPE("40 bits from level 2^32", 40, 1UL << 32, 1, INPUT),
    SHAPE("40 bits from level 0, no table", 40, 0, 0, INPUT),
    SHAPE("40 bits from level 0, 2 tables", 40, 0, 2, INPUT),
    SHAPE("40 bits from level 1, 1 table", 40, 1, 1, INPUT),
    SHAPE("42 bits from level 1, 4 tables", 42, 1, 4, INPUT),
    SHAPE("32 bits from level 2, 8 tables", 32, 2, 8, INPUT),
    CREATE_WITH("rtt_base is not aligned to its 2 tables", INPUT, FIELD(s2sz, 40), FIELD(rtt_level_start, 1),
                FIELD(rtt_num_start, 2), FIELD(rtt_base, ROOT2 + 0x1000)),
    CREATE_WITH("the second table is UNDELEGATED", INPUT, FIELD(s2sz, 40), FIELD(rtt_level_start, 1),
                FIELD(rtt_num_start, 2), FIELD(rtt_base, SPARE1)),
    {.name = "RMI_REALM_CREATE: rd is the last of the tables", .section = "§3.4", .fid = 0xc4000158,
     .args = {ROOT2 + 0x1000, PARAMS}, .status = INPUT,
     .set = {FIELD(rtt_level_start, 1), FIELD(rtt_num_start, 2), FIELD(rtt_base, ROOT2)}},
    CREATE_WITH("hash_algo 2", INPUT, FIELD(hash_algo, 2)),
    CREATE_WITH("hash_algo 255", INPUT, FIELD(hash_algo, 255)),

    CREATE("success", RD, PARAMS, RMI_SUCCESS),
    CREATE("rd is an RD", RD, PARAMS, INPUT),
    CREATE("rtt_base is an RTT", RD2, PARAMS, INPUT),
    {.name = "RMI_REALM_CREATE: the VMID is in use", .section = "§3.4", .fid = 0xc4000158, .args = {RD2, PARAMS},
     .status = INPUT, .set = {FIELD(rtt_base, ROOT2)}},
    {.name = "RMI_GRANULE_UNDELEGATE: of an RD", .section = "§5.1", .fid = 0xc4000152, .args = {RD}, .status = INPUT},
    {.name = "RMI_GRANULE_DELEGATE: of an RD", .section = "§5.1", .fid = 0xc4000151, .args = {RD}, .status = INPUT},
    {.name = "RMI_GRANULE_UNDELEGATE: of an RTT", .section = "§5.1", .fid = 0xc4000152, .args = {ROOT}, .status = INPUT},
    READ("the protected half of a new realm", 0, 0, ENTRY(0, UNASSIGNED, 0, EMPTY)),
    READ("the walk stops at the root", 0x7ffffff000, 3, ENTRY(0, UNASSIGNED, 0, EMPTY)),
    READ("the unprotected half of a new realm", SHARED, 0, ENTRY(0, UNASSIGNED, 0, EMPTY)),
    BAD_ADDRESS(AUX_COUNT_BAD, RD),
    AUX_COUNT_BAD(" is UNDELEGATED", PLAIN),
    AUX_COUNT_BAD(" is DELEGATED", SPARE),
    AUX_COUNT_BAD(" is an RTT", ROOT),
    AUX_COUNT("success", RD, RMI_SUCCESS, 16),
    BAD_ADDRESS(ACTIVATE_BAD, RD),
    ACTIVATE_BAD(" is UNDELEGATED", PLAIN),
    ACTIVATE_BAD(" is DELEGATED", SPARE),
    ACTIVATE_BAD(" is an RTT", ROOT),
    BAD_ADDRESS(DESTROY_BAD, RD),
    DESTROY_BAD(" is UNDELEGATED", PLAIN),
    DESTROY_BAD(" is DELEGATED", SPARE),
    DESTROY_BAD(" is an RTT", ROOT),
    DESTROY("a new realm", RD, RMI_SUCCESS),
    DESTROY("rd is a realm no more", RD, INPUT),
    AUX_COUNT("rd is a realm no more", RD, INPUT, 0),

    CREATE("the VMID is free again", RD, PARAMS, RMI_SUCCESS),
    {.name = "RMI_REALM_CREATE: a second realm", .section = "§3.4", .fid = 0xc4000158, .args = {RD2, PARAMS},
     .set = {FIELD(rtt_base, ROOT2), FIELD(vmid, 0xffff)}},
    DESTROY("the second realm", RD2, RMI_SUCCESS),
    ACTIVATE("success", RD, RMI_SUCCESS),
    ACTIVATE("the realm is ACTIVE", RD, REALM(0)),
    AUX_COUNT("of an ACTIVE realm", RD, RMI_SUCCESS, 16),
    DESTROY("an ACTIVE realm", RD, RMI_SUCCESS),

    SHAPE("40 bits from level 1, 2 tables", 40, 1, 2, RMI_SUCCESS),
    READ("level 0 is above the start level", 0, 0, .status = INPUT),
    READ("the root is at level 1", GB, 1, ENTRY(1, UNASSIGNED, 0, EMPTY)),
    READ("the second table", SHARED + GB, 1, ENTRY(1, UNASSIGNED, 0, EMPTY)),
    DESTROY("both tables come back", RD, RMI_SUCCESS),
    SHAPE("34 bits from level 2, 16 tables", 34, 2, 16, RMI_SUCCESS),
    READ("level 1 is above the start level 2", 0, 1, .status = INPUT),
    READ("the root is at level 2", 3 * GB, 2, ENTRY(2, UNASSIGNED, 0, EMPTY)),
    {.name = "RMI_RTT_MAP_UNPROTECTED: level 1 is above the start level 2", .section = "§3", .fid = 0xc400015f,
     .args = {RD, 2UL << 32, 1, 0}, .status = INPUT},
    {.name = "RMI_RTT_UNMAP_UNPROTECTED: level 1 is above the start level 2", .section = "§3", .fid = 0xc4000162,
     .args = {RD, 2UL << 32, 1}, .status = INPUT},
    {.name = "RMI_RTT_CREATE: level 2 is the start level", .section = "§3.11", .fid = 0xc400015d,
     .args = {RD, SPARE, 0, 2}, .status = INPUT},
    DESTROY("16 tables come back", RD, RMI_SUCCESS),
    SHAPE("48 bits from level 0", 48, 0, 1, RMI_SUCCESS),
    DESTROY("a realm of 48 bits", RD, RMI_SUCCESS),
    SHAPE("32 bits from level 1", 32, 1, 1, RMI_SUCCESS),
    DESTROY("a realm of 32 bits", RD, RMI_SUCCESS),
    CREATE_WITH("SHA-512", RMI_SUCCESS, FIELD(hash_algo, 1)),
    DESTROY("a realm with SHA-512", RD, RMI_SUCCESS),
    CREATE_WITH("sve_vl and pmu_num_ctrs without their flags", RMI_SUCCESS, FIELD(sve_vl, 9), FIELD(pmu_num_ctrs, 31)),
    DESTROY("the last one", RD, RMI_SUCCESS),
};

static void setup(void)
{
    delegate(RD, 2);
    delegate(SPARE, 1);
    delegate(RD2, 17);
}

static void teardown(void)
{
    undelegate(RD, 2);
    undelegate(SPARE, 1);
    undelegate(RD2, 17);
}

SCENE(scene_realms, "realms", setup, teardown);
