/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PSCI of a realm, RMI_PSCI_COMPLETE (rmm-abi.md §3.22, §8). */
#include "conformance.h"
#include "psci.h"
#include "puppet.h"

#define CALL(text, cited, x0, x1, x2, x3, ...)                                                               \
    {.name = "RMI_REC_ENTER: " text, .section = cited, .fid = 0xc400015c, .args = {REC0, RUN},               \
     .set = {IN(0, PUPPET_SMC), IN(1, x0), IN(2, x1), IN(3, x2), IN(4, x3), IN(5, 0x44)}, .exit = {__VA_ARGS__}}
#define PSCI_EXIT AT(exit_reason, RMI_EXIT_PSCI)
/* The call comes back to the realm at once. */
#define RETURNS(text, x0, x1, x2, x3, result)                                                                \
    CALL(text, "§8", x0, x1, x2, x3, REPORT, OUT(0, result), OUT(4, 0x44))
#define CPU_ON(text) CALL(text, "§8", 0xc4000003, 1, START, STACK, PSCI_EXIT, OUT(0, 0xc4000003), OUT(1, 1))
#define AFFINITY(text)                                                                                       \
    CALL(text, "§8", 0xc4000004, 1, 0, 0, PSCI_EXIT, OUT(0, 0xc4000004), OUT(1, 1))
#define COMPLETE(text, calling, target, result, want)                                                        \
    {.name = "RMI_PSCI_COMPLETE: " text, .section = "§3.22", .fid = 0xc4000164, .args = {calling, target, result},  \
     .status = want}
#define CALLING_BAD(text, rec) COMPLETE("calling" text, rec, REC1, 0, INPUT)
#define TARGET_BAD(text, rec) COMPLETE("target" text, REC0, rec, 0, INPUT)
#define ENTER(text, rec, run, want, ...)                                                                     \
    {.name = "RMI_REC_ENTER: " text, .section = "§8.3", .fid = 0xc400015c, .args = {rec, run}, .status = want, __VA_ARGS__}
#define IN1(i, value) {RUN1 + 0x200 + 8 * (i), value}
#define GETS(text, result) ENTER(text, REC0, RUN, RMI_SUCCESS, .exit = {REPORT, OUT(0, result), OUT(4, 0x44)})

#define SUCCESS ((uint64_t)PSCI_SUCCESS)
#define DENIED ((uint64_t)PSCI_DENIED)
#define ALREADY_ON ((uint64_t)PSCI_ALREADY_ON)
#define NOT_SUPPORTED ((uint64_t)PSCI_NOT_SUPPORTED)
#define INVALID_PARAMETERS ((uint64_t)PSCI_INVALID_PARAMETERS)
#define INVALID_ADDRESS ((uint64_t)PSCI_INVALID_ADDRESS)

static const struct row rows[] = {
    COMPLETE("there is no request", REC0, REC1, 0, INPUT),
    COMPLETE("there is no request, DENIED", REC0, REC1, DENIED, INPUT),
    RETURNS("PSCI_VERSION", 0x84000000, 0, 0, 0, 0x10001),
    RETURNS("PSCI_FEATURES of AFFINITY_INFO", 0x8400000a, 0xc4000004, 0, 0, SUCCESS),
    RETURNS("PSCI_FEATURES of CPU_FREEZE", 0x8400000a, 0x8400000b, 0, 0, NOT_SUPPORTED),
    RETURNS("PSCI_MIGRATE", 0xc4000005, 0, 0, 0, NOT_SUPPORTED),
    RETURNS("CPU_ON of a REC that there is not", 0xc4000003, 3, START, 0, INVALID_PARAMETERS),
    RETURNS("CPU_ON of itself", 0xc4000003, 0, START, 0, ALREADY_ON),
    RETURNS("CPU_ON at an unprotected address", 0xc4000003, 1, SHARED, 0, INVALID_ADDRESS),
    RETURNS("a bad address comes before a REC that there is not", 0xc4000003, 9, SHARED, 0, INVALID_ADDRESS),
    RETURNS("a bad address comes before itself", 0xc4000003, 0, SHARED, 0, INVALID_ADDRESS),
    RETURNS("AFFINITY_INFO of level 1", 0xc4000004, 1, 1, 0, INVALID_PARAMETERS),
    RETURNS("AFFINITY_INFO of a REC that there is not", 0xc4000004, 3, 0, 0, INVALID_PARAMETERS),
    RETURNS("AFFINITY_INFO of itself", 0xc4000004, 0, 0, 0, 0),
    CALL("CPU_SUSPEND", "§8", 0xc4000001, 1, 2, 3, PSCI_EXIT, OUT(0, 0xc4000001)),
    COMPLETE("CPU_SUSPEND awaits nothing", REC0, REC1, 0, INPUT),
    GETS("after CPU_SUSPEND", SUCCESS),

    AFFINITY("AFFINITY_INFO of a REC that is off"),
    COMPLETE("DENIED is no answer to AFFINITY_INFO", REC0, REC1, DENIED, INPUT),
    ENTER("the request awaits its answer", REC0, RUN, REC),
    COMPLETE("AFFINITY_INFO", REC0, REC1, SUCCESS, RMI_SUCCESS),
    GETS("OFF", 1),

    CPU_ON("CPU_ON"),
    ENTER("a REC that awaits PSCI_COMPLETE", REC0, RUN, REC),
    ENTER("a bad run comes before that", REC0, RUN + 0x800, INPUT),
    ENTER("the target is off still", REC1, RUN1, REC),
    BAD_ADDRESS(CALLING_BAD, REC0),
    CALLING_BAD(" is UNDELEGATED", PLAIN),
    CALLING_BAD(" is an RD", RD),
    CALLING_BAD(" is target", REC1),
    CALLING_BAD(" is a REC_AUX", AUX0),
    BAD_ADDRESS(TARGET_BAD, REC1),
    TARGET_BAD(" is UNDELEGATED", PLAIN),
    TARGET_BAD(" is an RD", RD),
    TARGET_BAD(" is calling", REC0),
    TARGET_BAD(" is a REC_AUX", AUX1),
    TARGET_BAD(" is another realm's", REC3),
    TARGET_BAD(" is not the one that was named", REC2),
    COMPLETE("the other way round", REC1, REC0, 0, INPUT),
    COMPLETE("NOT_SUPPORTED is no answer", REC0, REC1, NOT_SUPPORTED, INPUT),
    COMPLETE("ALREADY_ON is not the host's to say", REC0, REC1, ALREADY_ON, INPUT),
    COMPLETE("1 is no answer", REC0, REC1, 1, INPUT),
    COMPLETE("DENIED in 32 bits", REC0, REC1, 0xfffffffd, INPUT),
    ENTER("none of these was an answer", REC0, RUN, REC),
    COMPLETE("DENIED", REC0, REC1, DENIED, RMI_SUCCESS),
    COMPLETE("once only", REC0, REC1, DENIED, INPUT),
    ENTER("DENIED leaves the target off", REC1, RUN1, REC),
    GETS("DENIED", DENIED),

    CPU_ON("CPU_ON again"),
    COMPLETE("CPU_ON", REC0, REC1, SUCCESS, RMI_SUCCESS),
    ENTER("the target runs, from its entry point", REC1, RUN1, RMI_SUCCESS,
          .exit = {REPORT, OUT(0, PUPPET_SECOND), OUT(1, 0x80000001)}),
    GETS("CPU_ON succeeded", SUCCESS),
    AFFINITY("AFFINITY_INFO of a REC that is on"),
    COMPLETE("AFFINITY_INFO, on", REC0, REC1, SUCCESS, RMI_SUCCESS),
    GETS("ON", 0),
    CPU_ON("CPU_ON of a REC that is on"),
    COMPLETE("CPU_ON, on already", REC0, REC1, SUCCESS, RMI_SUCCESS),
    GETS("ALREADY_ON", ALREADY_ON),
    CPU_ON("CPU_ON of a REC that is on, once more"),
    COMPLETE("DENIED, on already", REC0, REC1, DENIED, INPUT),
    GETS("DENIED came too late: ALREADY_ON", ALREADY_ON),
    ENTER("the target goes on", REC1, RUN1, RMI_SUCCESS, .exit = {REPORT}),
    ENTER("the target's state", REC1, RUN1, RMI_SUCCESS, .set = {IN1(0, PUPPET_STATE)},
          .exit = {REPORT, OUT(0, 0xc50878), OUT(1, 0x80000001), OUT(2, 4), OUT(3, 0x3c0)}),
    ENTER("CPU_OFF", REC1, RUN1, RMI_SUCCESS, .set = {IN1(0, PUPPET_SMC), IN1(1, 0x84000002)},
          .exit = {PSCI_EXIT, OUT(0, 0x84000002)}),
    ENTER("a REC that is off", REC1, RUN1, REC),
    AFFINITY("AFFINITY_INFO after CPU_OFF"),
    COMPLETE("AFFINITY_INFO, off again", REC0, REC1, SUCCESS, RMI_SUCCESS),
    GETS("OFF again", 1),
    CPU_ON("CPU_ON after CPU_OFF"),
    COMPLETE("CPU_ON after CPU_OFF", REC0, REC1, SUCCESS, RMI_SUCCESS),
    ENTER("the target starts anew", REC1, RUN1, RMI_SUCCESS, .exit = {REPORT, OUT(0, PUPPET_SECOND), OUT(1, 0x80000001)}),
    GETS("CPU_ON succeeded again", SUCCESS),
};

static void setup(void)
{
    puppet_start();
    other_realm();
}

static void teardown(void)
{
    other_realm_end();
    puppet_end();
}

SCENE(scene_psci, "PSCI", setup, teardown);
