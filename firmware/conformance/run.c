/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RMI_REC_ENTER and what comes out of it (rmm-abi.md §3.10, §6, §7). */
#include "conformance.h"
#include "puppet.h"

#define TO(text, cited, want, ...)                                                                           \
    {.name = "RMI_REC_ENTER: " text, .section = cited, .fid = 0xc400015c, .args = {REC0, RUN}, .status = want, __VA_ARGS__}
#define ENTER(text, rec, run, want)                                                                          \
    {.name = "RMI_REC_ENTER: " text, .section = "§3.10", .fid = 0xc400015c, .args = {rec, run}, .status = want}
#define REC_BAD(text, rec) ENTER("rec" text, rec, RUN, INPUT)
#define RUN_BAD(text, run) ENTER("run" text, REC0, run, INPUT)
/* A list register or gicv3_hcr that must be refused. */
#define GIC(text, ...) TO(text, "§7.3", REC, .set = {__VA_ARGS__})
#define HCR(value) {RUN + 0x300, value}
#define LR(i, value) {RUN + 0x308 + 8 * (i), value}
#define PENDING (1UL << 62)
/* An order to load or store, and the exit that it takes to the host. */
#define ACCESS(text, order, address, kind, value, ...)                                                       \
    TO(text, "§6.1", RMI_SUCCESS, .set = {IN(0, order), IN(1, address), IN(2, kind), IN(3, value)}, .exit = {__VA_ARGS__})
#define MMIO_EXIT(syndrome, address) SYNC(syndrome), AT(far, (address) & 0xfff), AT(hpfar, ((address) & ~0xfffUL) >> 8)
#define ABORT_EXIT(syndrome, address) SYNC(syndrome), AT(hpfar, ((address) & ~0xfffUL) >> 8)
#define EMULATED(text, loaded, result)                                                                       \
    TO(text, "§7.2", RMI_SUCCESS, .set = {FLAGS(1), IN(0, loaded)}, .exit = {REPORT, OUT(0, result)})
#define INJECTED(text, syndrome, address, result)                                                            \
    TO(text, "§6.3", RMI_SUCCESS, .set = {FLAGS(2)}, .exit = {REPORT_FAULT(syndrome, address), OUT(0, result)})
#define SMC(text, cited, x0, x1, x2, x3, x4, ...)                                                            \
    TO(text, cited, RMI_SUCCESS,                                                                             \
       .set = {IN(0, PUPPET_SMC), IN(1, x0), IN(2, x1), IN(3, x2), IN(4, x3), IN(5, x4)}, .exit = {__VA_ARGS__})
#define READ(text, ipa, level, ...)                                                                          \
    {.name = "RMI_RTT_READ_ENTRY: " text, .section = "§5.4", .fid = 0xc4000161, .args = {RD, ipa, level}, __VA_ARGS__}
#define MAP(text, ipa, desc)                                                                                 \
    {.name = "RMI_RTT_MAP_UNPROTECTED: " text, .section = "§3.14", .fid = 0xc400015f, .args = {RD, ipa, 3, desc}}
#define UNMAP(text, ipa, top)                                                                                \
    {.name = "RMI_RTT_UNMAP_UNPROTECTED: " text, .section = "§3.15", .fid = 0xc4000162, .args = {RD, ipa, 3}, .out = {top}}
#define GIVE(text, data, ipa)                                                                                \
    {.name = "RMI_DATA_CREATE_UNKNOWN: " text, .section = "§3.18", .fid = 0xc4000154, .args = {RD, data, ipa}}
#define TAKE(text, ipa, data)                                                                                \
    {.name = "RMI_DATA_DESTROY: " text, .section = "§3.19", .fid = 0xc4000155, .args = {RD, ipa}, .out = {data, RAM + 2 * MB}}

#define P(n) (RAM + (n) * 0x1000UL)
#define S(n) (SHARED + (n) * 0x1000UL)
#define LOAD PUPPET_LOAD
#define STORE PUPPET_STORE
#define OLD PUPPET_UNLOADED

static const struct row rows[] = {
    /* Failures, while the REC waits for the answer to its host call. */
    BAD_ADDRESS(REC_BAD, REC0),
    REC_BAD(" is UNDELEGATED", PLAIN),
    REC_BAD(" is DELEGATED", SPARE),
    REC_BAD(" is an RD", RD),
    REC_BAD(" is a REC_AUX", AUX0),
    REC_BAD(" is an RTT", ROOT),
    BAD_ADDRESS(RUN_BAD, RUN),
    RUN_BAD(" is DELEGATED", SPARE),
    RUN_BAD(" is rec", REC0),
    RUN_BAD(" is an RD", RD),
    ENTER("the REC is off", REC1, RUN, REC),
    ENTER("a bad run comes before a REC that is off", REC1, SECURE, INPUT),
    TO("EMUL_MMIO after a host call", "§3.10", REC, .set = {FLAGS(1)}),
    TO("INJECT_SEA after a host call", "§3.10", REC, .set = {FLAGS(2)}),
    TO("both after a host call", "§3.10", REC, .set = {FLAGS(3)}),
    GIC("gicv3_hcr.En", HCR(1)),
    GIC("gicv3_hcr bit 8", HCR(0x100)),
    GIC("gicv3_hcr bit 15", HCR(0x8000)),
    GIC("gicv3_hcr.EOIcount", HCR(1UL << 27)),
    GIC("gicv3_hcr bit 63", HCR(1UL << 63)),
    GIC("a list register with HW", LR(0, PENDING | 1UL << 61 | 40)),
    GIC("a priority bit that is not implemented", LR(0, PENDING | 1UL << 48 | 40)),
    GIC("a pINTID without HW", LR(1, PENDING | 1UL << 32 | 40)),
    GIC("vINTID 1020", LR(2, PENDING | 1020)),
    GIC("vINTID 1023", LR(0, PENDING | 1023)),
    GIC("vINTID 8191", LR(0, PENDING | 8191)),
    GIC("vINTID 65536", LR(3, PENDING | 65536)),
    GIC("the same vINTID twice", LR(0, PENDING | 40), LR(3, 1UL << 63 | 40)),
    {.name = "RMI_REC_ENTER: a bad rec comes before a bad gicv3_hcr", .section = "§3.10", .fid = 0xc400015c,
     .args = {REC0 + 0x800, RUN}, .status = INPUT, .set = {HCR(1)}},
    {.name = "RMI_DATA_CREATE: the realm is ACTIVE", .section = "§3.17", .fid = 0xc4000153,
     .args = {RD, DATA0, P(300), NS, 1}, .status = REALM(0)},
    {.name = "RMI_DATA_CREATE: an ACTIVE realm comes before a bad ipa", .section = "§3.17", .fid = 0xc4000153,
     .args = {RD, DATA0, SHARED, NS, 1}, .status = REALM(0)},
    {.name = "RMI_DATA_CREATE: an ACTIVE realm comes before the walk", .section = "§3.17", .fid = 0xc4000153,
     .args = {RD, DATA0, 0, NS, 1}, .status = REALM(0)},
    {.name = "RMI_DATA_CREATE: a bad src comes before an ACTIVE realm", .section = "§3.17", .fid = 0xc4000153,
     .args = {RD, DATA0, P(300), SPARE, 1}, .status = INPUT},
    {.name = "RMI_DATA_CREATE: bad flags come before an ACTIVE realm", .section = "§3.17", .fid = 0xc4000153,
     .args = {RD, DATA0, P(300), NS, 2}, .status = INPUT},
    {.name = "RMI_RTT_INIT_RIPAS: the realm is ACTIVE", .section = "§3.20", .fid = 0xc4000168,
     .args = {RD, P(300), P(301)}, .status = REALM(0)},
    {.name = "RMI_RTT_INIT_RIPAS: an ACTIVE realm comes before the walk", .section = "§3.20", .fid = 0xc4000168,
     .args = {RD, RAM + 2 * MB, RAM + 2 * MB + 0x1000}, .status = REALM(0)},
    {.name = "RMI_RTT_INIT_RIPAS: a bad base comes before an ACTIVE realm", .section = "§3.20", .fid = 0xc4000168,
     .args = {RD, P(300) + 1, P(302)}, .status = INPUT},

    /* Success, one exit after another. */
    TO("an answer, and the next host call", "§4.9", RMI_SUCCESS, .set = {IN(0, PUPPET_NOTHING)}, .exit = {REPORT}),
    TO("reserved flags are ignored", "§7.1", RMI_SUCCESS, .set = {FLAGS(~0x1fUL)}, .exit = {REPORT}),
    TO("RIPAS_RESPONSE without a request", "§7.1", RMI_SUCCESS, .set = {FLAGS(0x10)}, .exit = {REPORT}),
    TO("the state that a REC starts in", "§7.6", RMI_SUCCESS, .set = {IN(0, PUPPET_STATE)},
       .exit = {REPORT, OUT(0, 0xc50878), OUT(1, 0x80000000), OUT(2, 4), OUT(3, 0x3c0)}),
    TO("a pending interrupt stays in its list register", "§7.4", RMI_SUCCESS, .set = {LR(1, PENDING | 40)},
       .exit = {REPORT, {0x310, PENDING | 40}}),
    TO("an invalid list register may hold anything", "§7.3", RMI_SUCCESS, .set = {LR(0, 1UL << 61 | 1020)},
       .exit = {REPORT, {0x308, 1UL << 61 | 1020}}),
    TO("every bit of gicv3_hcr that a host may set", "§2.7", RMI_SUCCESS, .set = {HCR(0x40fe)},
       .exit = {REPORT, {0x300, 0x40fe}, {0x388, 0xaa}}), /* U, NP, VGrp0D, VGrp1D (IHI 0069 12.4, ICH_MISR_EL2) */
    SMC("an RMI call by the realm", "§1.3", 0xc4000150, 0x10000, 0x22, 0x33, 0x44, REPORT, OUT(0, ~0UL), OUT(4, 0x44)),
    SMC("RSI_VERSION", "§4.1", 0xc4000190, 0x10000, 0x22, 0x33, 0x44, REPORT, OUT(0, 0), OUT(1, 0x10000),
        OUT(2, 0x10000), OUT(4, 0x44)),
    TO("HVC is undefined", "§6.4", RMI_SUCCESS, .set = {IN(0, PUPPET_HVC)}, .exit = {REPORT_FAULT(0x02000000, 0)}),
    TO("WFI, trapped", "§6.5", RMI_SUCCESS, .set = {FLAGS(4), IN(0, PUPPET_WFI)}, .exit = {SYNC(0x04000000)}),
    TO("EMUL_MMIO after WFI", "§3.10", REC, .set = {FLAGS(1)}),
    TO("INJECT_SEA after WFI", "§3.10", REC, .set = {FLAGS(2)}),
    TO("after WFI", "§6.5", RMI_SUCCESS, .exit = {REPORT}),
    /* A PE may end WFE at once, as this machine's do: then there is nothing to trap. */
    TO("WFE does not wait", "§6.5", RMI_SUCCESS, .set = {FLAGS(8), IN(0, PUPPET_WFE)}, .exit = {REPORT}),
    TO("ICC_SGI1R_EL1 is written", "§6.7", RMI_SUCCESS, .set = {IN(0, PUPPET_SGI), IN(1, 0x1234)},
       .exit = {SYNC(0x623a30b6), OUT(0, 0x1234)}),
    TO("after ICC_SGI1R_EL1", "§6.7", RMI_SUCCESS, .exit = {REPORT}),

    /* The unprotected half: emulation. */
    ACCESS("a word is loaded", LOAD, S(0) + 0x124, PUPPET_W, 0, MMIO_EXIT(0x91800007, S(0) + 0x124)),
    TO("a failed entry keeps the abort", "§5.6", REC, .set = {FLAGS(1), HCR(1)}),
    EMULATED("a word", 0xffffffff89abcdef, 0x89abcdef),
    TO("EMUL_MMIO holds once", "§5.6", REC, .set = {FLAGS(1)}),
    ACCESS("a byte is loaded", LOAD, S(0) + 3, PUPPET_B, 0, MMIO_EXIT(0x91000007, S(0) + 3)),
    EMULATED("a byte", 0x12f0, 0xf0),
    ACCESS("a halfword is loaded", LOAD, S(1) + 2, PUPPET_H, 0, MMIO_EXIT(0x91400007, S(1) + 2)),
    EMULATED("a halfword", 0x1f0f0, 0xf0f0),
    ACCESS("a doubleword is loaded", LOAD, S(1) + 8, PUPPET_X, 0, MMIO_EXIT(0x91c08007, S(1) + 8)),
    EMULATED("a doubleword", 0x8123456789abcdef, 0x8123456789abcdef),
    ACCESS("a signed byte is loaded to X", LOAD, S(0), PUPPET_SB_X, 0, MMIO_EXIT(0x91008007, S(0))),
    EMULATED("a signed byte in X", 0x80, 0xffffffffffffff80),
    ACCESS("a signed byte is loaded to W", LOAD, S(0), PUPPET_SB_W, 0, MMIO_EXIT(0x91000007, S(0))),
    EMULATED("a signed byte in W", 0x80, 0xffffff80),
    ACCESS("a signed word is loaded to X", LOAD, S(0), PUPPET_SW_X, 0, MMIO_EXIT(0x91808007, S(0))),
    EMULATED("a signed word in X", 0x80000000, 0xffffffff80000000),
    ACCESS("XZR is loaded", LOAD, S(0), PUPPET_XZR, 0, MMIO_EXIT(0x91c08007, S(0))),
    EMULATED("XZR", 0x1234, OLD),
    ACCESS("a pair is loaded: no syndrome", LOAD, S(0) + 0x10, PUPPET_PAIR, 0, ABORT_EXIT(0x90000007, S(0))),
    TO("EMUL_MMIO of a pair", "§3.10", REC, .set = {FLAGS(1)}),
    INJECTED("INJECT_SEA of a pair", 0x96000210, S(0) + 0x10, OLD),
    ACCESS("a byte is stored", STORE, S(0) + 1, PUPPET_B, 0x1ff, MMIO_EXIT(0x91000047, S(0) + 1), OUT(0, 0xff)),
    EMULATED("a stored byte", 0x77, 0),
    ACCESS("a word is stored", STORE, S(0) + 4, PUPPET_W, ~0UL, MMIO_EXIT(0x91800047, S(0) + 4), OUT(0, 0xffffffff)),
    EMULATED("a stored word", 0x77, 0),
    ACCESS("a doubleword is stored", STORE, S(0) + 8, PUPPET_X, ~1UL, MMIO_EXIT(0x91c08047, S(0) + 8), OUT(0, ~1UL)),
    TO("SEA goes before emulation", "§7.1", RMI_SUCCESS, .set = {FLAGS(3)}, .exit = {REPORT_FAULT(0x96000250, S(0) + 8)}),
    ACCESS("XZR is stored", STORE, S(0) + 8, PUPPET_XZR, ~1UL, MMIO_EXIT(0x91c08047, S(0) + 8)),
    EMULATED("a stored XZR", 0x77, 0),

    /* The unprotected half: memory. */
    ACCESS("a page that is not there yet", LOAD, S(0) + 0x20, PUPPET_X, 0, MMIO_EXIT(0x91c08007, S(0) + 0x20)),
    TO("tried again", "§7.2", RMI_SUCCESS, .exit = {MMIO_EXIT(0x91c08007, S(0) + 0x20)}),
    MAP("a page of the host", S(0), NS + 0xd8),
    TO("now it is there", "§7.2", RMI_SUCCESS, .set = {{NS + 0x20, 0xfeedUL}}, .exit = {REPORT, OUT(0, 0xfeed)}),
    TO("the realm writes, the host reads", "§3.14", RMI_SUCCESS,
       .set = {IN(0, STORE), IN(1, S(0) + 0x28), IN(2, PUPPET_X), IN(3, 0xc0ffee)}, .exit = {REPORT},
       .see = {{NS + 0x28, 0xc0ffee}}),
    TO("shared memory is not executed", "§6.2", RMI_SUCCESS, .set = {IN(0, PUPPET_CALL_CODE), IN(1, S(0))},
       .exit = {REPORT_FAULT(0x86000210, S(0))}),
    UNMAP("the page", S(0), SHARED + 2 * MB),
    MAP("read-only", S(0), NS + 0x58),
    TO("a read-only page is read", "§3.14", RMI_SUCCESS,
       .set = {IN(0, LOAD), IN(1, S(0) + 8), IN(2, PUPPET_W), {NS + 8, 0x1234}}, .exit = {REPORT, OUT(0, 0x1234)}),
    ACCESS("a read-only page is written", STORE, S(0) + 8, PUPPET_W, 5, MMIO_EXIT(0x9180004f, S(0) + 8), OUT(0, 5)),
    INJECTED("INJECT_SEA of a write", 0x96000250, S(0) + 8, 0),
    UNMAP("the read-only page", S(0), SHARED + 2 * MB),
    ACCESS("the page is gone", LOAD, S(0), PUPPET_W, 0, MMIO_EXIT(0x91800007, S(0))),
    INJECTED("INJECT_SEA of a read", 0x96000210, S(0), OLD),

    /* The protected half. */
    TO("EMPTY memory is read", "§6.1", RMI_SUCCESS, .set = {IN(0, LOAD), IN(1, RAM + 2 * MB), IN(2, PUPPET_W)},
       .exit = {REPORT_FAULT(0x96000210, RAM + 2 * MB), OUT(0, OLD)}),
    TO("EMPTY memory is written", "§6.1", RMI_SUCCESS, .set = {IN(0, STORE), IN(1, RAM + 2 * MB), IN(2, PUPPET_W)},
       .exit = {REPORT_FAULT(0x96000250, RAM + 2 * MB)}),
    TO("EMPTY memory is executed", "§6.2", RMI_SUCCESS, .set = {IN(0, PUPPET_CALL_CODE), IN(1, RAM + 2 * MB)},
       .exit = {REPORT_FAULT(0x86000210, RAM + 2 * MB)}),
    TO("beyond the IPA space", "§6.1", RMI_SUCCESS, .set = {IN(0, LOAD), IN(1, IPA_END), IN(2, PUPPET_W)},
       .exit = {REPORT_FAULT(0x96000210, IPA_END), OUT(0, OLD)}),
    ACCESS("RAM that is UNASSIGNED", LOAD, P(256) + 8, PUPPET_X, 0, ABORT_EXIT(0x90000007, P(256))),
    TO("EMUL_MMIO of protected memory", "§12", REC, .set = {FLAGS(1)}),
    TO("INJECT_SEA of protected memory", "§3.10", REC, .set = {FLAGS(2)}),
    TO("still UNASSIGNED", "§6.1", RMI_SUCCESS, .exit = {ABORT_EXIT(0x90000007, P(256))}),
    GIVE("to an ACTIVE realm", DATA0, P(256)),
    TO("it is zero", "§3.18", RMI_SUCCESS, .exit = {REPORT}),
    TO("it is written", "§6.1", RMI_SUCCESS, .set = {IN(0, STORE), IN(1, P(256)), IN(2, PUPPET_X), IN(3, 0x5ec2e7)},
       .exit = {REPORT}),
    TO("it is read", "§6.1", RMI_SUCCESS, .set = {IN(0, LOAD), IN(1, P(256)), IN(2, PUPPET_X)},
       .exit = {REPORT, OUT(0, 0x5ec2e7)}),
    TAKE("from an ACTIVE realm", P(256), DATA0),
    ACCESS("DESTROYED memory", STORE, P(256), PUPPET_X, 1, ABORT_EXIT(0x90000007, P(256))),
    GIVE("in the place of what is DESTROYED", DATA0, P(256)),
    TO("it is DESTROYED still", "§6.1", RMI_SUCCESS, .exit = {ABORT_EXIT(0x90000007, P(256))}),
    TAKE("what is DESTROYED", P(256), DATA0),
    READ("the page stays DESTROYED", P(256), 3, ENTRY(3, UNASSIGNED, 0, DESTROYED)),
};

static void setup(void)
{
    puppet_start();
    delegate(DATA0, 3);
}

static void teardown(void)
{
    puppet_end();
    undelegate(DATA0, 3);
}

SCENE(scene_run, "running a realm", setup, teardown);
