/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RMI_VERSION, RMI_FEATURES, function ids (rmm-abi.md §1, §2.6). */
#include "conformance.h"

#define VERSION(text, req, want)                                                                             \
    {.name = "RMI_VERSION: " text, .section = "§1.4", .fid = 0xc4000150, .args = {req}, .status = want,      \
     .out = {0x10000, 0x10000}}
#define FEATURES(text, index, value)                                                                         \
    {.name = "RMI_FEATURES: " text, .section = "§2.6", .fid = 0xc4000165, .args = {index}, .out = {value}}
/* The RMM answers by itself, zeros in X1 to X3. */
#define NO_RMI(text, id) {.name = text, .section = "§1.2", .fid = id, .status = UNKNOWN}
/* It does not reach the RMM. */
#define NO_CALL(text, id) {.name = text, .section = "§13.1", .fid = id, .status = UNKNOWN, .out = {ANY, ANY, ANY}}

/* configs/conformance.yaml: S2SZ 48, two breakpoints, two watchpoints, both hashes, 4 list registers,
 * MAX_RECS_ORDER 2. */
#define FEATURE_REGISTER_0 0x8f00104030UL

static const struct row rows[] = {
    VERSION("1.0", 0x10000, RMI_SUCCESS),
    VERSION("0", 0, INPUT),
    VERSION("1.1", 0x10001, INPUT),
    VERSION("2.0", 0x20000, INPUT),
    VERSION("0.65535", 0xffff, INPUT),
    VERSION("bit 31 set", 0x80010000, INPUT),
    VERSION("bit 32 set", 0x100010000, INPUT),
    VERSION("all ones", ~0UL, INPUT),
    FEATURES("register 0", 0, FEATURE_REGISTER_0),
    FEATURES("register 1", 1, 0),
    FEATURES("register 2", 2, 0),
    FEATURES("register 2^32", 1UL << 32, 0),
    FEATURES("register -1", ~0UL, 0),
    {.name = "RMI_FEATURES: the function id is W0", .section = "§1.1", .fid = 0xdeadbeefc4000165,
     .out = {FEATURE_REGISTER_0}},
    {.name = "RMI_FEATURES: with the SVE hint", .section = "§1.1", .fid = 0xc4010165, .out = {FEATURE_REGISTER_0}},
    {.name = "RMI_VERSION: with the SVE hint", .section = "§1.1", .fid = 0xc4010150, .args = {0x10001},
     .status = INPUT, .out = {0x10000, 0x10000}},
    NO_RMI("unallocated 0x156", 0xc4000156),
    NO_RMI("unallocated 0x160", 0xc4000160),
    NO_RMI("unallocated 0x163, RTT_DEV_VALIDATE in 2.0", 0xc4000163),
    NO_RMI("unallocated 0x16a, VSMMU_CREATE in 2.0", 0xc400016a),
    NO_RMI("unallocated 0x16e, RMM_CONFIG_SET in 2.0", 0xc400016e),
    NO_RMI("unallocated 0x176, PDEV_CREATE in 2.0", 0xc4000176),
    NO_RMI("unallocated 0x17d, RTT_AUX_CREATE in 2.0", 0xc400017d),
    NO_RMI("unallocated 0x18b, RTT_SET_S2AP in 2.0", 0xc400018b),
    NO_RMI("unallocated 0x18e, the last one", 0xc400018e),
    NO_RMI("unallocated 0x156 with the SVE hint", 0xc4010156),
    NO_CALL("RMM_RMI_REQ_COMPLETE, the RMM's", 0xc400018f),
    NO_CALL("RSI_VERSION, a realm's", 0xc4000190),
    NO_CALL("RSI_HOST_CALL, a realm's", 0xc4000199),
    NO_CALL("RMM_GTSI_DELEGATE, the RMM's", 0xc40001b0),
    NO_CALL("RMM_GTSI_UNDELEGATE, the RMM's", 0xc40001b1),
    NO_CALL("RMM_ATTEST_GET_REALM_KEY, the RMM's", 0xc40001b2),
    NO_CALL("RMM_ATTEST_GET_PLAT_TOKEN, the RMM's", 0xc40001b3),
    NO_CALL("RMM_BOOT_COMPLETE, the RMM's", 0xc40001cf),
    NO_CALL("0x1f1, GRANULE_RANGE_DELEGATE in 2.0", 0xc40001f1),
    NO_CALL("RMI_VERSION as SMC32", 0x84000150),
    NO_CALL("RMI_VERSION as a yielding call", 0x44000150),
};

SCENE(scene_interface, "the interface", 0, 0);
