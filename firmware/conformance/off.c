/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may be done to a realm that has ended (rmm-abi.md §5.2, §8). */
#include "conformance.h"
#include "puppet.h"

#define ROW(text, id, want, ...) {.name = text, .section = "§5.2", .fid = id, .status = want, .args = {__VA_ARGS__}}
#define TAKE_BACK (RAM + 2 * MB)

/* These hold for SYSTEM_OFF and SYSTEM_RESET. */
#define ENDED(how)                                                                                           \
    ROW("RMI_REC_ENTER: after " how, 0xc400015c, REALM(1), REC0, RUN),                                       \
        ROW("RMI_REC_ENTER: " how " comes before a REC that is off", 0xc400015c, REALM(1), REC1, RUN),       \
        ROW("RMI_REC_ENTER: a bad run comes before " how, 0xc400015c, INPUT, REC0, RUN + 1),                 \
        ROW("RMI_REC_ENTER: a bad rec comes before " how, 0xc400015c, INPUT, RD, RUN),                       \
        {.name = "RMI_REC_ENTER: " how " comes before a bad gicv3_hcr", .section = "§3.10", .fid = 0xc400015c,  \
         .args = {REC0, RUN}, .status = REALM(1), .set = {{RUN + 0x300, 1}}},                                \
        {.name = "RMI_REC_ENTER: " how " comes before EMUL_MMIO", .section = "§3.10", .fid = 0xc400015c,     \
         .args = {REC0, RUN}, .status = REALM(1), .set = {FLAGS(1)}},                                        \
        ROW("RMI_REALM_ACTIVATE: after " how, 0xc4000157, REALM(0), RD),                                     \
        ROW("RMI_DATA_CREATE: after " how, 0xc4000153, REALM(0), RD, DATA0, RAM + MB, NS, 1),                \
        ROW("RMI_RTT_INIT_RIPAS: after " how, 0xc4000168, REALM(0), RD, RAM + MB, RAM + MB + 0x1000),        \
        ROW("RMI_REC_CREATE: after " how, 0xc400015a, REALM(0), RD, REC3, RECP3),                            \
        ROW("RMI_REALM_DESTROY: RECs after " how, 0xc4000159, REALM(0), RD)

static const struct row rows[] = {
    {.name = "RMI_REC_ENTER: SYSTEM_OFF", .section = "§8", .fid = 0xc400015c, .args = {REC0, RUN},
     .set = {IN(0, PUPPET_SMC), IN(1, 0x84000008)}, .exit = {AT(exit_reason, RMI_EXIT_PSCI), OUT(0, 0x84000008)}},
    ENDED("SYSTEM_OFF"),
    {.name = "RMI_REC_AUX_COUNT: after SYSTEM_OFF", .section = "§5.2", .fid = 0xc4000167, .args = {RD}, .out = {16}},
    ROW("RMI_DATA_CREATE_UNKNOWN: after SYSTEM_OFF", 0xc4000154, RMI_SUCCESS, RD, DATA0, RAM + MB),
    {.name = "RMI_RTT_READ_ENTRY: after SYSTEM_OFF", .section = "§5.2", .fid = 0xc4000161, .args = {RD, RAM + MB, 3},
     ENTRY(3, ASSIGNED, DATA0, IS_RAM)},
    {.name = "RMI_DATA_DESTROY: after SYSTEM_OFF", .section = "§5.2", .fid = 0xc4000155, .args = {RD, RAM + MB},
     .out = {DATA0, TAKE_BACK}},
    ROW("RMI_RTT_MAP_UNPROTECTED: after SYSTEM_OFF", 0xc400015f, RMI_SUCCESS, RD, SHARED, 3, NS + 0xd8),
    {.name = "RMI_RTT_UNMAP_UNPROTECTED: after SYSTEM_OFF", .section = "§5.2", .fid = 0xc4000162,
     .args = {RD, SHARED, 3}, .out = {SHARED + 2 * MB}},
    ROW("RMI_RTT_CREATE: after SYSTEM_OFF", 0xc400015d, RMI_SUCCESS, RD, DATA0, RAM + 2 * MB, 3),
    {.name = "RMI_RTT_FOLD: after SYSTEM_OFF", .section = "§5.2", .fid = 0xc4000166, .args = {RD, RAM + 2 * MB, 3},
     .out = {DATA0}},
    ROW("RMI_RTT_SET_RIPAS: no request after SYSTEM_OFF", 0xc4000169, INPUT, RD, REC0, RAM + MB, RAM + 2 * MB),
    ROW("RMI_PSCI_COMPLETE: no request after SYSTEM_OFF", 0xc4000164, INPUT, REC0, REC1, 0),
};

static const struct row reset_rows[] = {
    {.name = "RMI_REC_ENTER: SYSTEM_RESET", .section = "§8", .fid = 0xc400015c, .args = {REC0, RUN},
     .set = {IN(0, PUPPET_SMC), IN(1, 0x84000009)}, .exit = {AT(exit_reason, RMI_EXIT_PSCI), OUT(0, 0x84000009)}},
    ENDED("SYSTEM_RESET"),
};

static void setup(void)
{
    puppet_start();
    delegate(DATA0, 1);
    delegate(REC3, 17);
}

static void teardown(void)
{
    puppet_end();
    undelegate(DATA0, 1);
    undelegate(REC3, 17);
}

SCENE(scene_off, "a realm that is off", setup, teardown);
const struct scene scene_reset = {"a realm after a reset", reset_rows, sizeof reset_rows / sizeof reset_rows[0], setup,
                                  teardown};
