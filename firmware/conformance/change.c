/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RIPAS changes: RSI_IPA_STATE_SET, RMI_RTT_SET_RIPAS, and calls to pages that are not there (rmm-abi.md §3.21, §4). */
#include "conformance.h"
#include "puppet.h"
#include "rsi.h"

/* The order of an SMC, and the exit that it takes to the host. */
#define SMC(text, cited, x0, x1, x2, x3, x4, ...)                                                            \
    {.name = "RMI_REC_ENTER: " text, .section = cited, .fid = 0xc400015c, .args = {REC0, RUN},               \
     .set = {IN(0, PUPPET_SMC), IN(1, x0), IN(2, x1), IN(3, x2), IN(4, x3), IN(5, x4)}, .exit = {__VA_ARGS__}}
#define ASK(text, base, top, ripas, flags)                                                                   \
    SMC(text, "§4.7", 0xc4000197, base, top, ripas, flags, AT(exit_reason, RMI_EXIT_RIPAS_CHANGE),           \
        AT(ripas_base, base), AT(ripas_top, top), AT(ripas_value, ripas))
#define REFUSED(text, base, top, ripas, flags)                                                               \
    SMC(text, "§4.7", 0xc4000197, base, top, ripas, flags, REPORT, OUT(0, RSI_ERROR_INPUT), OUT(4, flags))
/* What the realm is told: how far the change got, the response; X4 is the caller's, its flags. */
#define TOLD(text, entry_flags, base, response, flags)                                                       \
    {.name = "RMI_REC_ENTER: " text, .section = "§4.7", .fid = 0xc400015c, .args = {REC0, RUN},              \
     .set = {FLAGS(entry_flags)}, .exit = {REPORT, OUT(1, base), OUT(2, response), OUT(4, flags)}}
#define ENTER(text, cited, want, ...)                                                                        \
    {.name = "RMI_REC_ENTER: " text, .section = cited, .fid = 0xc400015c, .args = {REC0, RUN}, .status = want, __VA_ARGS__}
#define SET(text, rd, rec, base, top, want, out_top)                                                         \
    {.name = "RMI_RTT_SET_RIPAS: " text, .section = "§3.21", .fid = 0xc4000169, .args = {rd, rec, base, top},  \
     .status = want, .out = {out_top}}
#define SET_RD_BAD(text, rd) SET("rd" text, rd, REC0, P(300), P(304), INPUT, 0)
#define SET_REC_BAD(text, rec) SET("rec" text, RD, rec, P(300), P(304), INPUT, 0)
#define READ(text, ipa, level, ...)                                                                          \
    {.name = "RMI_RTT_READ_ENTRY: " text, .section = "§5.4", .fid = 0xc4000161, .args = {RD, ipa, level}, __VA_ARGS__}
#define GIVE(text, data, ipa)                                                                                \
    {.name = "RMI_DATA_CREATE_UNKNOWN: " text, .section = "§3.18", .fid = 0xc4000154, .args = {RD, data, ipa}}
#define TAKE(text, ipa, data, top)                                                                           \
    {.name = "RMI_DATA_DESTROY: " text, .section = "§3.19", .fid = 0xc4000155, .args = {RD, ipa}, .out = {data, top}}
#define HOST_CALL_AT(text, ipa, ...) SMC(text, "§4.9", 0xc4000199, ipa, 0, 0, 0, __VA_ARGS__)
#define PAGE_ABORT(ipa) AT(esr, 0x90000007), AT(hpfar, (ipa) >> 8)

#define P(n) (RAM + (n) * 0x1000UL)
#define TABLE_END (RAM + 2 * MB)
#define REJECTS 0x10

static const struct row rows[] = {
    SET("there is no request", RD, REC0, P(300), P(304), INPUT, 0),
    SET("there is no request, of a REC that is off", RD, REC1, P(300), P(304), INPUT, 0),
    REFUSED("RIPAS 2 is asked for", P(300), P(304), 2, 0),
    REFUSED("RIPAS 3 is asked for, DEV in 1.1", P(300), P(304), 3, 0),
    REFUSED("an unaligned base is asked for", P(300) + 8, P(304), 0, 0),
    REFUSED("an unaligned top is asked for", P(300), P(304) + 8, 0, 0),
    REFUSED("an empty range is asked for", P(300), P(300), 0, 0),
    REFUSED("an unprotected range is asked for", SHARED, SHARED + 0x1000, 0, 0),
    REFUSED("a range beyond the protected half is asked for", SHARED - 0x1000, SHARED + 0x1000, 0, 0),

    ASK("4 pages shall be EMPTY", P(300), P(304), 0, 0),
    BAD_ADDRESS(SET_RD_BAD, RD),
    SET_RD_BAD(" is UNDELEGATED", PLAIN),
    SET_RD_BAD(" is DELEGATED", SPARE),
    SET_RD_BAD(" is rec", REC0),
    BAD_ADDRESS(SET_REC_BAD, REC0),
    SET_REC_BAD(" is UNDELEGATED", PLAIN),
    SET_REC_BAD(" is DELEGATED", SPARE),
    SET_REC_BAD(" is rd", RD),
    SET_REC_BAD(" is a REC_AUX", AUX0),
    SET("the REC is another realm's", RD2, REC0, P(300), P(304), REC, 0),
    SET("another realm's REC comes before a bad base", RD2, REC0, P(301), P(304), REC, 0),
    SET("a REC of another realm", RD, REC3, P(300), P(304), REC, 0),
    SET("top is base", RD, REC0, P(300), P(300), INPUT, 0),
    SET("top is below base", RD, REC0, P(300), P(299), INPUT, 0),
    SET("top is not aligned", RD, REC0, P(300), P(301) + 0x800, INPUT, 0),
    SET("base is below the request", RD, REC0, P(299), P(304), INPUT, 0),
    SET("base is above the request", RD, REC0, P(301), P(304), INPUT, 0),
    SET("top is above the request", RD, REC0, P(300), P(305), INPUT, 0),
    SET("a bad top comes before another realm's REC", RD2, REC0, P(300), P(300), INPUT, 0),
    SET("one page", RD, REC0, P(300), P(301), RMI_SUCCESS, P(301)),
    READ("it is EMPTY", P(300), 3, ENTRY(3, UNASSIGNED, 0, EMPTY)),
    READ("the next one is not", P(301), 3, ENTRY(3, UNASSIGNED, 0, IS_RAM)),
    SET("the same page again", RD, REC0, P(300), P(304), INPUT, 0),
    SET("up to the top", RD, REC0, P(301), P(304), RMI_SUCCESS, P(304)),
    SET("there is nothing left", RD, REC0, P(304), P(305), INPUT, 0),
    TOLD("EMPTY, all of it", 0, P(304), RSI_ACCEPT, 0),
    SET("the request is closed", RD, REC0, P(304), P(305), INPUT, 0),
    SET("the request is closed, as before", RD, REC0, P(300), P(304), INPUT, 0),

    ASK("4 pages shall be RAM", P(300), P(304), 1, 0),
    SET("two of them", RD, REC0, P(300), P(302), RMI_SUCCESS, P(302)),
    TOLD("RAM, a part of it, rejected", REJECTS, P(302), RSI_REJECT, 0),
    READ("a part is RAM", P(301), 3, ENTRY(3, UNASSIGNED, 0, IS_RAM)),
    READ("a part is EMPTY", P(302), 3, ENTRY(3, UNASSIGNED, 0, EMPTY)),
    ASK("the rest shall be RAM", P(302), P(304), 1, 0),
    SET("one of the rest", RD, REC0, P(302), P(303), RMI_SUCCESS, P(303)),
    TOLD("RAM, a part of it, accepted", 0, P(303), RSI_ACCEPT, 0),
    ASK("RAM, and the host does nothing", P(303), P(304), 1, 0),
    TOLD("RAM, rejected", REJECTS, P(303), RSI_REJECT, 0),
    ASK("EMPTY, and the host does nothing", P(300), P(304), 0, 0),
    TOLD("EMPTY cannot be rejected", REJECTS, P(300), RSI_ACCEPT, 0),
    ASK("the last page shall be RAM", P(303), P(304), 1, 0),
    SET("the last page", RD, REC0, P(303), P(304), RMI_SUCCESS, P(304)),
    TOLD("RAM, all of it: there is nothing to reject", REJECTS, P(304), RSI_ACCEPT, 0),

    /* DATA: it stays when its page becomes EMPTY. */
    GIVE("to become EMPTY", DATA0, P(310)),
    ENTER("the page is written", "§6.1", RMI_SUCCESS,
          .set = {IN(0, PUPPET_STORE), IN(1, P(310)), IN(2, PUPPET_X), IN(3, 0xda7a)}, .exit = {REPORT}),
    ASK("DATA shall be EMPTY", P(310), P(311), 0, 0),
    SET("DATA to EMPTY", RD, REC0, P(310), P(311), RMI_SUCCESS, P(311)),
    READ("ASSIGNED, EMPTY", P(310), 3, ENTRY(3, ASSIGNED, DATA0, EMPTY)),
    TOLD("DATA is EMPTY", 0, P(311), RSI_ACCEPT, 0),
    ENTER("it cannot be read", "§6.1", RMI_SUCCESS, .set = {IN(0, PUPPET_LOAD), IN(1, P(310)), IN(2, PUPPET_X)},
          .exit = {REPORT_FAULT(0x96000210, P(310)), OUT(0, PUPPET_UNLOADED)}),
    ASK("DATA shall be RAM again", P(310), P(311), 1, 0),
    SET("DATA to RAM", RD, REC0, P(310), P(311), RMI_SUCCESS, P(311)),
    READ("ASSIGNED, RAM", P(310), 3, ENTRY(3, ASSIGNED, DATA0, IS_RAM)),
    TOLD("DATA is RAM", 0, P(311), RSI_ACCEPT, 0),
    ENTER("it holds what it held", "§5.4", RMI_SUCCESS, .set = {IN(0, PUPPET_LOAD), IN(1, P(310)), IN(2, PUPPET_X)},
          .exit = {REPORT, OUT(0, 0xda7a)}),
    TAKE("it", P(310), DATA0, TABLE_END),

    /* DESTROYED: only with CHANGE_DESTROYED. */
    ASK("pages up to one that is DESTROYED", P(308), P(312), 0, 0),
    SET("as far as what is DESTROYED", RD, REC0, P(308), P(312), RMI_SUCCESS, P(310)),
    SET("what is DESTROYED does not change", RD, REC0, P(310), P(312), RTT(3), 0),
    TOLD("as far as what is DESTROYED", 0, P(310), RSI_ACCEPT, 0),
    ASK("also what is DESTROYED shall be RAM", P(308), P(312), 1, 1),
    SET("also what is DESTROYED", RD, REC0, P(308), P(312), RMI_SUCCESS, P(312)),
    TOLD("also what was DESTROYED", 0, P(312), RSI_ACCEPT, 1),
    READ("it is RAM", P(310), 3, ENTRY(3, UNASSIGNED, 0, IS_RAM)),

    /* Levels. */
    ASK("2 MB and a page, at level 2", TABLE_END, TABLE_END + 2 * MB + 0x1000, 1, 0),
    SET("a page of level 2", RD, REC0, TABLE_END, TABLE_END + 0x1000, RTT(2), 0),
    SET("2 MB of level 2", RD, REC0, TABLE_END, TABLE_END + 2 * MB + 0x1000, RMI_SUCCESS, TABLE_END + 2 * MB),
    SET("the page after it", RD, REC0, TABLE_END + 2 * MB, TABLE_END + 2 * MB + 0x1000, RTT(2), 0),
    TOLD("2 MB of level 2", REJECTS, TABLE_END + 2 * MB, RSI_REJECT, 0),
    READ("2 MB of RAM", TABLE_END, 2, ENTRY(2, UNASSIGNED, 0, IS_RAM)),
    ASK("the end of a table and more", P(510), P(514), 0, 0),
    SET("no further than the table", RD, REC0, P(510), P(514), RMI_SUCCESS, TABLE_END),
    SET("2 MB of RAM are larger than the rest", RD, REC0, TABLE_END, P(514), RTT(2), 0),
    TOLD("no further than the table", 0, TABLE_END, RSI_ACCEPT, 0),
    ASK("within 2 MB of RAM", TABLE_END + 0x1000, TABLE_END + 2 * MB, 0, 0),
    SET("base is not aligned at level 2", RD, REC0, TABLE_END + 0x1000, TABLE_END + 2 * MB, RTT(2), 0),
    TOLD("nothing within 2 MB", 0, TABLE_END + 0x1000, RSI_ACCEPT, 0),

    /* Calls with a page that is not there. */
    HOST_CALL_AT("a host call in RAM that is UNASSIGNED", P(256) + 0x100, PAGE_ABORT(P(256))),
    ENTER("EMUL_MMIO after it", "§4", REC, .set = {FLAGS(1)}),
    ENTER("INJECT_SEA after it", "§4", REC, .set = {FLAGS(2)}),
    ENTER("the call is made again", "§4", RMI_SUCCESS, .exit = {PAGE_ABORT(P(256))}),
    GIVE("for the host call", DATA0, P(256)),
    ENTER("now the host call comes out", "§4.9", RMI_SUCCESS, .exit = {AT(exit_reason, RMI_EXIT_HOST_CALL)}),
    TAKE("the page of a pending host call", P(256), DATA0, TABLE_END),
    ENTER("its answer has no page", "§4.9", RMI_SUCCESS, .exit = {PAGE_ABORT(P(256)), {AT_VMCR, 0}}),
    GIVE("for the answer, still DESTROYED", DATA0, P(256)),
    ENTER("its answer has a page that is DESTROYED", "§4.9", RMI_SUCCESS, .exit = {PAGE_ABORT(P(256)), {AT_VMCR, 0}}),
    TAKE("the page of the answer", P(256), DATA0, TABLE_END),
};

/* A REC that waits for a page that it lost goes no further: the rest in another realm. */
static const struct row more_rows[] = {
    GIVE("for a host call", DATA0, P(256)),
    HOST_CALL_AT("a host call from another page", P(256) + 0xf00, AT(exit_reason, RMI_EXIT_HOST_CALL)),
    ENTER("its answer", "§4.9", RMI_SUCCESS, .set = {IN(0, 0x1111), IN(30, 0x3030)},
          .exit = {REPORT, OUT(1, P(256) + 0xf00)}),
    ENTER("X0 of the answer in the structure", "§4.9", RMI_SUCCESS,
          .set = {IN(0, PUPPET_LOAD), IN(1, P(256) + 0xf08), IN(2, PUPPET_X)}, .exit = {REPORT, OUT(0, 0x1111)}),
    ENTER("X30 of the answer in the structure", "§4.9", RMI_SUCCESS,
          .set = {IN(0, PUPPET_LOAD), IN(1, P(256) + 0xff8), IN(2, PUPPET_X)}, .exit = {REPORT, OUT(0, 0x3030)}),
    HOST_CALL_AT("a host call with an unaligned structure", P(256) + 0x80, REPORT, OUT(0, RSI_ERROR_INPUT)),
    HOST_CALL_AT("a host call in EMPTY memory", TABLE_END, REPORT, OUT(0, RSI_ERROR_INPUT)),
    HOST_CALL_AT("a host call in shared memory", SHARED, REPORT, OUT(0, RSI_ERROR_INPUT)),
    TAKE("of the host calls", P(256), DATA0, TABLE_END),
};

static void setup(void)
{
    puppet_start();
    other_realm();
    delegate(DATA0, 3);
}

static void teardown(void)
{
    other_realm_end();
    puppet_end();
    undelegate(DATA0, 3);
}

SCENE(scene_change, "RIPAS changes", setup, teardown);
const struct scene scene_hostcall = {"host calls", more_rows, sizeof more_rows / sizeof more_rows[0], setup, teardown};
