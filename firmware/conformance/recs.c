/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RMI_REC_CREATE, _DESTROY, and RMI_REC_ENTER of a new realm (rmm-abi.md §3.8 to §3.10). */
#include "conformance.h"

#define FIELD(recp, field, value) {recp + offsetof(struct rmi_rec_params, field), value}
#define AUX(recp, i, value) {recp + offsetof(struct rmi_rec_params, aux) + 8 * (i), value}
#define CREATE(text, rd, rec, params, want, ...)                                                             \
    {.name = "RMI_REC_CREATE: " text, .section = "§3.8", .fid = 0xc400015a, .args = {rd, rec, params}, .status = want,  \
     __VA_ARGS__}
#define CREATE_RD_BAD(text, rd) CREATE("rd" text, rd, REC0, RECP0, INPUT)
#define CREATE_REC_BAD(text, rec) CREATE("rec" text, RD, rec, RECP0, INPUT)
#define CREATE_PARAMS_BAD(text, params) CREATE("params" text, RD, REC0, params, INPUT)
#define CREATE_AUX_BAD(text, address) CREATE("an aux" text, RD, REC0, RECP0, INPUT, .set = {AUX(RECP0, 7, address)})
#define DESTROY(text, rec, want)                                                                             \
    {.name = "RMI_REC_DESTROY: " text, .section = "§3.9", .fid = 0xc400015b, .args = {rec}, .status = want}
#define DESTROY_BAD(text, rec) DESTROY("rec" text, rec, INPUT)
#define ENTER(text, rec, run, want)                                                                          \
    {.name = "RMI_REC_ENTER: " text, .section = "§3.10", .fid = 0xc400015c, .args = {rec, run}, .status = want}
#define UNDELEGATE(text, address, want)                                                                      \
    {.name = "RMI_GRANULE_UNDELEGATE: " text, .section = "§5.1", .fid = 0xc4000152, .args = {address}, .status = want}

static void activate(void)
{
    must("RMI_REALM_ACTIVATE", rmi_realm_activate(resolve(RD)));
}

static void new_realm(void)
{
    must("RMI_REALM_DESTROY", rmi_realm_destroy(resolve(RD)));
    must("RMI_REALM_CREATE", rmi_realm_create(resolve(RD), resolve(PARAMS)));
}

static const struct row rows[] = {
    BAD_ADDRESS(CREATE_PARAMS_BAD, RECP0),
    CREATE_PARAMS_BAD(" is DELEGATED", SPARE),
    CREATE_PARAMS_BAD(" is rec", REC0),
    BAD_ADDRESS(CREATE_RD_BAD, RD),
    CREATE_RD_BAD(" is UNDELEGATED", PLAIN),
    CREATE_RD_BAD(" is DELEGATED", SPARE),
    CREATE_RD_BAD(" is rec", REC0),
    CREATE_RD_BAD(" is an RTT", ROOT),
    BAD_ADDRESS(CREATE_REC_BAD, REC0),
    CREATE_REC_BAD(" is UNDELEGATED", PLAIN),
    CREATE_REC_BAD(" is rd", RD),
    CREATE_REC_BAD(" is params", RECP0),
    CREATE_REC_BAD(" is the first aux", AUX0),
    CREATE_REC_BAD(" is the last aux", AUX0 + 0xf000),
    BAD_ADDRESS(CREATE_AUX_BAD, AUX0 + 0x7000),
    CREATE_AUX_BAD(" is UNDELEGATED", PLAIN),
    CREATE_AUX_BAD(" is named twice", AUX0),
    CREATE_AUX_BAD(" is rd", RD),
    CREATE_AUX_BAD(" is an RTT", ROOT),
    CREATE_AUX_BAD(" is rec", REC0),
    CREATE_AUX_BAD(" is params", RECP0),
    CREATE("num_aux 17", RD, REC0, RECP0, INPUT, .set = {FIELD(RECP0, num_aux, 17)}),
    CREATE("num_aux 2^32", RD, REC0, RECP0, INPUT, .set = {FIELD(RECP0, num_aux, 1UL << 32)}),
    CREATE("num_aux 15", RD, REC0, RECP0, INPUT, .set = {FIELD(RECP0, num_aux, 15)}),
    CREATE("num_aux 0", RD, REC0, RECP0, INPUT, .set = {FIELD(RECP0, num_aux, 0)}),
    CREATE("mpidr bits 7:4", RD, REC0, RECP0, INPUT, .set = {FIELD(RECP0, mpidr, 0x10)}),
    CREATE("mpidr bit 31:24 above Aff3", RD, REC0, RECP0, INPUT, .set = {FIELD(RECP0, mpidr, 1UL << 32)}),
    CREATE("mpidr bit 63", RD, REC0, RECP0, INPUT, .set = {FIELD(RECP0, mpidr, 1UL << 63)}),
    CREATE("mpidr 1 comes before 0", RD, REC0, RECP0, INPUT, .set = {FIELD(RECP0, mpidr, 1)}),
    CREATE("mpidr 0x100 is REC 16", RD, REC0, RECP0, INPUT, .set = {FIELD(RECP0, mpidr, 0x100)}),
    CREATE("success", RD, REC0, RECP0, RMI_SUCCESS),
    CREATE("rec is a REC", RD, REC0, RECP1, INPUT),
    CREATE("rd is a REC", REC0, REC1, RECP1, INPUT),
    CREATE("an aux is a REC_AUX", RD, REC1, RECP1, INPUT, .set = {AUX(RECP1, 3, AUX0)}),
    CREATE("mpidr 0 is there", RD, REC1, RECP1, INPUT, .set = {FIELD(RECP1, mpidr, 0)}),
    CREATE("mpidr 2 comes before 1", RD, REC1, RECP1, INPUT, .set = {FIELD(RECP1, mpidr, 2)}),
    CREATE("a second REC", RD, REC1, RECP1, RMI_SUCCESS),
    UNDELEGATE("of a REC", REC0, INPUT),
    UNDELEGATE("of a REC_AUX", AUX0 + 0xf000, INPUT),
    {.name = "RMI_GRANULE_DELEGATE: of a REC", .section = "§5.1", .fid = 0xc4000151, .args = {REC0}, .status = INPUT},
    {.name = "RMI_REC_AUX_COUNT: rd is a REC", .section = "§3.7", .fid = 0xc4000167, .args = {REC0}, .status = INPUT},
    {.name = "RMI_REALM_ACTIVATE: rd is a REC", .section = "§3.5", .fid = 0xc4000157, .args = {REC0}, .status = INPUT},
    {.name = "RMI_REALM_DESTROY: rd is a REC", .section = "§3.6", .fid = 0xc4000159, .args = {REC0}, .status = INPUT},
    {.name = "RMI_REALM_DESTROY: the realm has RECs", .section = "§3.6", .fid = 0xc4000159, .args = {RD},
     .status = REALM(0)},

    ENTER("the realm is new", REC0, RUN, REALM(0)),
    ENTER("a new realm comes before a REC that is off", REC1, RUN, REALM(0)),
    {.name = "RMI_REC_ENTER: a new realm comes before a bad gicv3_hcr", .section = "§3.10", .fid = 0xc400015c,
     .args = {REC0, RUN}, .status = REALM(0), .set = {{RUN + 0x300, 1}}},
    {.name = "RMI_REC_ENTER: a new realm comes before INJECT_SEA", .section = "§3.10", .fid = 0xc400015c,
     .args = {REC0, RUN}, .status = REALM(0), .set = {{RUN, 2}}},
    ENTER("a bad run comes before a new realm", REC0, RUN + 0x800, INPUT),
    ENTER("a bad rec comes before a new realm", REC0 + 0x800, RUN, INPUT),

    BAD_ADDRESS(DESTROY_BAD, REC0),
    DESTROY_BAD(" is UNDELEGATED", PLAIN),
    DESTROY_BAD(" is DELEGATED", SPARE),
    DESTROY_BAD(" is an RD", RD),
    DESTROY_BAD(" is a REC_AUX", AUX0),
    DESTROY_BAD(" is an RTT", ROOT),
    DESTROY("of a new realm", REC1, RMI_SUCCESS),
    DESTROY("it is gone", REC1, INPUT),
    CREATE("its index is not used again", RD, REC1, RECP1, INPUT),
    CREATE("the third index", RD, REC2, RECP2, RMI_SUCCESS),
    CREATE("a third REC at a time", RD, REC3, RECP3, RMI_SUCCESS),
    CREATE("as many RECs as there may be", RD, REC1, RECP1, REALM(0)),
    CREATE("so many RECs come before a bad mpidr", RD, REC1, RECP1, REALM(0), .set = {FIELD(RECP1, mpidr, 1UL << 40)}),
    CREATE("a bad aux comes before so many RECs", RD, REC1, RECP1, INPUT, .set = {AUX(RECP1, 0, PLAIN)}),
    CREATE("too many aux come before so many RECs", RD, REC1, RECP1, INPUT, .set = {FIELD(RECP1, num_aux, 17)}),
    CREATE("a bad rec comes before so many RECs", RD, PLAIN, RECP1, INPUT),
    CREATE("so many RECs come before too few aux", RD, REC1, RECP1, REALM(0), .set = {FIELD(RECP1, num_aux, 15)}),
    DESTROY("the first one", REC0, RMI_SUCCESS),
    DESTROY("another", REC2, RMI_SUCCESS),
    {.name = "RMI_REALM_DESTROY: the realm still has a REC", .section = "§3.6", .fid = 0xc4000159, .args = {RD},
     .status = REALM(0)},
    DESTROY("the last one", REC3, RMI_SUCCESS),
    {.name = "RMI_GRANULE_UNDELEGATE: a REC was wiped", .section = "§3.9", .fid = 0xc4000152, .args = {REC0},
     .see = {{REC0, 0}, {REC0 + 0x100, 0}}},
    {.name = "RMI_GRANULE_DELEGATE: to be used again", .section = "§3.2", .fid = 0xc4000151, .args = {REC0}},
    UNDELEGATE("of what was a REC_AUX", AUX1, RMI_SUCCESS),
    {.name = "RMI_GRANULE_DELEGATE: it too", .section = "§3.2", .fid = 0xc4000151, .args = {AUX1}},

    CREATE("RECs of another realm count from 0", RD, REC0, RECP1, INPUT, .before = new_realm),
    {.name = "RMI_REC_CREATE: the realm is ACTIVE", .section = "§3.8", .fid = 0xc400015a, .args = {RD, REC0, RECP0},
     .status = REALM(0), .before = activate},
    CREATE("an ACTIVE realm comes before a bad mpidr", RD, REC0, RECP0, REALM(0), .set = {FIELD(RECP0, mpidr, 5)}),
    CREATE("an ACTIVE realm comes before too few aux", RD, REC0, RECP0, REALM(0), .set = {FIELD(RECP0, num_aux, 1)}),
    CREATE("a bad aux comes before an ACTIVE realm", RD, REC0, RECP0, INPUT, .set = {AUX(RECP0, 15, PLAIN)}),
    CREATE("too many aux come before an ACTIVE realm", RD, REC0, RECP0, INPUT, .set = {FIELD(RECP0, num_aux, 17)}),
    CREATE("bad params come before an ACTIVE realm", RD, REC0, RECP0 + 8, INPUT),
    CREATE("a bad rec comes before an ACTIVE realm", RD, AUX0, RECP0, INPUT),
};

static void setup(void)
{
    realm_new();
    delegate(REC0, 3);
    delegate(REC3, 17);
    delegate(AUX0, 48);
    delegate(SPARE, 1);
}

static void teardown(void)
{
    undelegate(REC0, 3);
    undelegate(REC3, 17);
    undelegate(AUX0, 48);
    undelegate(SPARE, 1);
    realm_end();
}

SCENE(scene_recs, "RECs", setup, teardown);
