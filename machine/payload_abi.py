# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machine, the host firmware and the realm payloads agree on (docs/payload.md).

The host information block that the machine leaves for the host, the numbers of the host calls, the way a
firmware image ends the machine: declared here once.  `firmware/sdk/include/ccab.h` is generated from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.errors import ConfigError
from machine.config.types import (
    Behaviour,
    DelayInterrupt,
    DenyCpuOn,
    DuplicateInterrupt,
    Evict,
    Gicv3,
    IgnoreMmio,
    InjectSea,
    PartialRipas,
)
from rmm.abi.layout import Field, Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from machine.config.images import Piece, RealmImage
    from machine.machine import Machine

MAGIC = int.from_bytes(b"CCABHOST", "little")
VERSION = 1
MAX_REALMS = 4
MAX_BANKS = 8
MAX_BEHAVIOURS = 16
NAME_SIZE = 32

REALM_INFO = Struct(
    "CcabRealmInfo",
    "ccab_realm_info",
    0x100,
    Field("image_pa", 0x00, "u64", doc="PA of the image, a multiple of 4K"),
    Field("image_size", 0x08, "u64", doc="bytes, a multiple of 4K"),
    Field("load_ipa", 0x10, "u64", doc="IPA of the image's first byte"),
    Field("entry_ipa", 0x18, "u64", doc="IPA of the first instruction"),
    Field("ram_base", 0x20, "u64", doc="IPA of the protected RAM"),
    Field("ram_size", 0x28, "u64", doc="bytes"),
    Field("console_pa", 0x30, "u64", doc="PL011 of the realm's console, 0 for none"),
    Field("ipa_bits", 0x38, "u32", doc="IPA width; the upper half is unprotected"),
    Field("recs", 0x3C, "u32", doc="RECs to create"),
    Field("hash_algo", 0x40, "u32", doc="RMI_HASH_*"),
    Field("flags", 0x44, "u32", doc="CCAB_REALM_*"),
    Field("sve_bits", 0x48, "u32", doc="vector length to ask for, a multiple of 128; 0 for a realm without SVE"),
    Field("pmu_counters_plus1", 0x4C, "u32", doc="PMU event counters to ask for, plus 1; 0 for a realm without a PMU"),
    Field("pieces_offset", 0x50, "u32", doc="bytes from this structure to what else is loaded (struct ccab_piece)"),
    Field("num_pieces", 0x54, "u32"),
    Field("dtb_ipa", 0x58, "u64", doc="IPA of a device tree, 0 for none"),
    Field("kernel_ipa", 0x60, "u64", doc="IPA of the first instruction of the kernel, 0 for none"),
    Field("rpv", 0x80, "bytes", 64, doc="Realm Personalization Value"),
    Field("name", 0xC0, "bytes", NAME_SIZE, doc="padded with zeros, one at least"),
    doc="a realm that the host shall build",
)

REALM_FLAGS = {
    "LINUX": (1 << 0, "entered as an arm64 Linux is: X0 = dtb_ipa, the other registers zero"),
    "BARE": (1 << 1, "only what is loaded is RIPAS RAM before the realm runs"),
}

PIECE = Struct(
    "CcabPiece",
    "ccab_piece",
    0x20,
    Field("pa", 0x00, "u64", doc="a multiple of 4K"),
    Field("ipa", 0x08, "u64", doc="a multiple of 4K, in the realm's RAM"),
    Field("size", 0x10, "u64", doc="bytes, a multiple of 4K"),
    Field("flags", 0x18, "u32", doc="of RMI_DATA_CREATE: RMI_MEASURE_CONTENT or none"),
    doc="what is loaded into a realm besides its image",
)

HOST_INFO = Struct(
    "CcabHostInfo",
    "ccab_host_info",
    0x200,
    Field("magic", 0x000, "u64", doc="CCAB_INFO_MAGIC"),
    Field("version", 0x008, "u32", doc="CCAB_INFO_VERSION"),
    Field("size", 0x00C, "u32", doc="bytes, realms included"),
    Field("num_realms", 0x010, "u32", doc="they stand after this structure"),
    Field("num_banks", 0x014, "u32"),
    Field("console_pa", 0x018, "u64", doc="PL011 of the host's console, 0 for none"),
    Field("pool_pa", 0x020, "u64", doc="memory that the host may hand out"),
    Field("pool_size", 0x028, "u64", doc="bytes"),
    Field("secure_pa", 0x030, "u64", doc="a granule of the Secure PAS, 0 for none"),
    Field("root_gpt_pa", 0x038, "u64", doc="the granule protection table, Root PAS"),
    Field("monitor_pa", 0x040, "u64", doc="a granule of the monitor, Root PAS"),
    Field("rmm_pa", 0x048, "u64", doc="a granule of the RMM, Realm PAS, 0 for none"),
    Field("num_cpus", 0x050, "u32", doc="PEs of the machine"),
    Field("num_behaviours", 0x054, "u32", doc="ways to treat the realms (host.behaviour)"),
    Field(
        "cpus_offset", 0x058, "u32", doc="bytes from the block's start to the affinity (MPIDR_EL1) of each PE, u64 each"
    ),
    Field("behaviours_offset", 0x05C, "u32", doc="bytes from the block's start to their records"),
    Field("gicd_pa", 0x060, "u64", doc="GICv3 distributor, 0 for none"),
    Field("gicr_pa", 0x068, "u64", doc="GICv3 redistributors, one after the other, 0 for none"),
    Field("gicr_stride", 0x070, "u64", doc="bytes from one redistributor to the next"),
    Field("bank_base", 0x080, "u64", MAX_BANKS, doc="Non-secure DRAM"),
    Field("bank_size", 0x0C0, "u64", MAX_BANKS, doc="bytes"),
    doc="the host information block: X0 of the host at entry",
)

BEHAVIOUR = Struct(
    "CcabBehaviour",
    "ccab_behaviour",
    0x20,
    Field("kind", 0x00, "u32", doc="CCAB_BEHAVE_*"),
    Field("realm", 0x04, "u32", doc="index, or CCAB_EVERY_REALM"),
    Field("after", 0x08, "u32", doc="occasions, or of EVICT exits of the realm, before the first"),
    Field("times", 0x0C, "u32", doc="occasions, 0 for all"),
    Field("at", 0x10, "u64", doc="IPA of a page, or index of a REC; CCAB_ANYWHERE for all"),
    Field("argument", 0x18, "u64"),
    doc="a way in which the host shall treat its realms (host.behaviour of the machine file)",
)
EVERY_REALM = (1 << 32) - 1
ANYWHERE = (1 << 64) - 1

BEHAVIOURS = {
    "reject-ripas": (1, "RIPAS changes are rejected"),
    "partial-ripas": (2, "argument: pages of a RIPAS change that are made at a time"),
    "deny-cpu-on": (3, "at: REC that may not start"),
    "evict": (4, "at: page that is taken from the realm; argument: CCAB_EVICT_*"),
    "inject-sea": (5, "at: page whose accesses meet an external abort"),
    "ignore-mmio": (6, "at: page whose accesses are not answered"),
    "delay-interrupt": (7, "at: INTID of a timer; argument: REC exits that its interrupt is held back"),
    "duplicate-interrupt": (8, "at: INTID of a timer whose interrupt comes once more"),
}

EVICT = {
    "remap": (0, "an access supplies the page again"),
    "report": (1, "an access ends the realm"),
}

# INTIDs of a realm's timers (Arm BSA, "PPI assignments")
TIMERS = {"virtual": 27, "physical": 30}

# RSI_HOST_CALL immediates.  gprs[0] comes back as CCAB_HC_UNKNOWN for a number that the host does not know.
HOST_CALLS = {
    "NOP": (0, "nothing; the round trip alone"),
    "PUTS": (1, "gprs[0] = length, at most 240; gprs[1..30] = the bytes, little-endian"),
    "EXIT": (2, "gprs[0] = exit code of the machine; does not return"),
    "YIELD": (3, "lets other RECs run"),
    "PEEK": (4, "gprs[0] = IPA; back: CCAB_PEEK_*, bytes that are not zero, FNV-1a of the page, first 8 bytes"),
    "DESTROY": (5, "gprs[0] = IPA: DATA_DESTROY; back: RMI status"),
    "POPULATE": (6, "gprs[0] = IPA: DATA_CREATE_UNKNOWN; back: RMI status"),
    "EXITS": (7, "gprs[0] = IPA; back: exits of the realm for a fault there that the host could not mend"),
    "READ_ONLY": (8, "gprs[0] = unprotected IPA of a shared page: maps it read-only; back: RMI status"),
    "VICTIM": (9, "gprs[0] = IPA, gprs[1] = FNV-1a of a page under attack, gprs[2] = IPA; back: CCAB_VICTIM_*"),
    "PMU_EXITS": (10, "back: IRQ exits of the realm with pmu_ovf_status = ACTIVE"),
    "BEHAVIOUR": (
        11,
        "gprs[0] = CCAB_BEHAVE_*, gprs[1] = at; back: 1 if the host has it, how often it was met, argument",
    ),
}
PUTS_MAX = 240
HOST_CALL_UNKNOWN = (1 << 64) - 1

PEEK = {
    "SHARED": (0, "the host holds a page of its own there"),
    "PROTECTED": (1, "the page is the realm's"),
    "NONE": (2, "there is no page"),
}

VICTIM = {
    "END": (0, "the payload shall end"),
    "CHECK": (1, "it shall compute the checksum again"),
    "RIPAS": (2, "it shall ask for two pages at gprs[2] to become EMPTY"),
}

# Arm semihosting: HLT #0xF000, operation in W0, parameter block in X1.
SEMIHOSTING_EXIT_EXTENDED = 0x20
SEMIHOSTING_APPLICATION_EXIT = 0x20026

UART_IPA = 0x0900_0000  # the console device of a realm, in the unprotected half


def host_info(machine: Machine, realms: Sequence[RealmImage]) -> bytes:
    """The host information block of a machine; ConfigError for more than 4 realms."""
    config = machine.config
    if len(realms) > MAX_REALMS:
        where = config.source.where("realms", MAX_REALMS)
        raise ConfigError(f"{where}: {len(realms)} realms: the host information block holds {MAX_REALMS} (boot.info)")
    banks = [region for region in config.memory.values() if region.pas == "non-secure"][:MAX_BANKS]
    consoles = {device.console: device.base for device in config.devices.values() if hasattr(device, "console")}
    first = {pas: next((r.base for r in config.memory.values() if r.pas == pas), 0) for pas in ("secure", "realm")}
    root = config.memory[config.gpt.region]
    gic = next((device for device in config.devices.values() if isinstance(device, Gicv3)), None)
    cpus = b"".join(affinity.to_bytes(8, "little") for affinity in config.cpu.affinities)
    behaviours = b"".join(_behaviour(one, realms) for one in config.host.behaviour)
    cpus_offset = HOST_INFO.size + len(realms) * REALM_INFO.size
    pieces_offset = cpus_offset + len(cpus) + len(behaviours)
    pieces, pieces_at = b"", []
    for one in realms:
        pieces_at.append(pieces_offset + len(pieces))
        pieces += b"".join(_piece(piece) for piece in one.pieces)
    block = HOST_INFO.pack(
        {
            "magic": MAGIC,
            "version": VERSION,
            "size": pieces_offset + len(pieces),
            "num_realms": len(realms),
            "num_banks": len(banks),
            "console_pa": consoles.get("NS", 0),
            "pool_pa": config.boot.pool.base if config.boot.pool else 0,
            "pool_size": config.boot.pool.size if config.boot.pool else 0,
            "secure_pa": first["secure"],
            "root_gpt_pa": machine.gpt.l0_base,
            # The tables fill the Root region from below; the monitor's own memory is its end.
            "monitor_pa": root.base + root.size - 0x1000,
            "rmm_pa": first["realm"],
            "num_cpus": config.cpu.count,
            "num_behaviours": len(config.host.behaviour),
            "cpus_offset": cpus_offset,
            "behaviours_offset": cpus_offset + len(cpus),
            "gicd_pa": gic.base if gic else 0,
            "gicr_pa": gic.redistributors if gic else 0,
            "gicr_stride": gic.stride if gic else 0,
            "bank_base": [bank.base for bank in banks] + [0] * (MAX_BANKS - len(banks)),
            "bank_size": [bank.size for bank in banks] + [0] * (MAX_BANKS - len(banks)),
        }
    )
    told = b"".join(
        _realm(one, consoles.get(f"realm {i}", 0), at - HOST_INFO.size - i * REALM_INFO.size)
        for i, (one, at) in enumerate(zip(realms, pieces_at, strict=True))
    )
    return block + told + cpus + behaviours + pieces


def _behaviour(behaviour: Behaviour, realms: Sequence[RealmImage]) -> bytes:
    at, argument = ANYWHERE, 0
    match behaviour:
        case PartialRipas():
            argument = behaviour.pages
        case DenyCpuOn():
            at = ANYWHERE if behaviour.rec is None else behaviour.rec
        case Evict():
            at, argument = behaviour.ipa, EVICT[behaviour.then][0]
        case DelayInterrupt():
            at, argument = TIMERS.get(behaviour.timer, ANYWHERE), behaviour.exits
        case DuplicateInterrupt():
            at = TIMERS.get(behaviour.timer, ANYWHERE)
        case InjectSea() | IgnoreMmio():
            at = ANYWHERE if behaviour.ipa is None else behaviour.ipa
    names = [one.realm.name for one in realms]
    return BEHAVIOUR.pack(
        {
            "kind": BEHAVIOURS[str(behaviour.__struct_config__.tag)][0],
            "realm": EVERY_REALM if behaviour.realm is None else names.index(behaviour.realm),
            "after": behaviour.after,
            "times": behaviour.times,
            "at": int(at),
            "argument": argument,
        }
    )


def _piece(piece: Piece) -> bytes:
    return PIECE.pack({"pa": piece.stage, "ipa": piece.ipa, "size": piece.size, "flags": int(piece.measured)})


def _realm(staged: RealmImage, console_pa: int, pieces_offset: int) -> bytes:
    realm, linux = staged.realm, staged.linux
    flags = 0
    if linux is not None:
        flags = REALM_FLAGS["BARE" if linux.by_loader else "LINUX"][0]
    return REALM_INFO.pack(
        {
            "image_pa": staged.stage,
            "image_size": staged.size,
            "load_ipa": staged.base,
            "entry_ipa": staged.entry,
            "ram_base": realm.ram.base,
            "ram_size": realm.ram.size,
            "console_pa": console_pa,
            "ipa_bits": realm.ipa_bits,
            "recs": realm.recs,
            "hash_algo": ("sha256", "sha512").index(realm.hash),
            "flags": flags,
            "sve_bits": realm.sve,
            "pmu_counters_plus1": 0 if realm.pmu is None else realm.pmu + 1,
            "pieces_offset": pieces_offset,
            "num_pieces": len(staged.pieces),
            "dtb_ipa": 0 if linux is None else linux.dtb,
            "kernel_ipa": 0 if linux is None else linux.kernel,
            "rpv": realm.rpv,
            "name": realm.name.encode()[: NAME_SIZE - 1],
        }
    )


def _macro(name: str) -> str:
    return name.upper().replace("-", "_")


def c_header() -> str:
    """The text of ccab.h."""
    from machine.vmm.linux import layout
    from machine.vmm.linux.initramfs import MARK

    lines = [
        "/* SPDX-License-Identifier: GPL-2.0-or-later */",
        "/* Generated from machine/payload_abi.py: what machine, host and payload agree on (docs/payload.md). */",
        "#ifndef CCAB_H",
        "#define CCAB_H",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        f"#define CCAB_INFO_MAGIC {MAGIC:#x}ULL",
        f"#define CCAB_INFO_VERSION {VERSION}",
        f"#define CCAB_MAX_REALMS {MAX_REALMS}",
        f"#define CCAB_UART_IPA {UART_IPA:#x}ULL",
        "",
        f"#define CCAB_LINUX_UART_IPA {layout.UART.base:#x}ULL",
        f"#define CCAB_LINUX_UART_INTID {layout.UART.interrupt}",
        f"#define CCAB_LINUX_GICD_IPA {layout.GICD.base:#x}ULL",
        f"#define CCAB_LINUX_GICR_IPA {layout.redistributors(1)[0]:#x}ULL",
        f'#define CCAB_LINUX_EXIT "{MARK.decode()}exit " /* what init says before the status of its script */',
        "",
        f"/* {REALM_INFO.doc} */",
        REALM_INFO.c_text(),
        *(f"#define CCAB_REALM_{name} {bit:#x} /* {doc} */" for name, (bit, doc) in REALM_FLAGS.items()),
        "",
        f"/* {PIECE.doc} */",
        PIECE.c_text(),
        "static inline const struct ccab_piece *ccab_pieces(const struct ccab_realm_info *realm)",
        "{",
        "    return (const struct ccab_piece *)((uintptr_t)realm + realm->pieces_offset);",
        "}",
        "",
        f"/* {HOST_INFO.doc} */",
        HOST_INFO.c_text(),
        "static inline const struct ccab_realm_info *ccab_realm(const struct ccab_host_info *info, uint32_t index)",
        "{",
        "    return (const struct ccab_realm_info *)(info + 1) + index;",
        "}",
        "",
        "static inline const uint64_t *ccab_mpidr(const struct ccab_host_info *info)",
        "{",
        "    return (const uint64_t *)((uintptr_t)info + info->cpus_offset);",
        "}",
        "",
        f"/* {BEHAVIOUR.doc} */",
        BEHAVIOUR.c_text(),
        f"#define CCAB_MAX_BEHAVIOURS {MAX_BEHAVIOURS}",
        f"#define CCAB_EVERY_REALM {EVERY_REALM:#x}U",
        f"#define CCAB_ANYWHERE {ANYWHERE:#x}ULL",
        *(f"#define CCAB_BEHAVE_{_macro(name)} {number} /* {doc} */" for name, (number, doc) in BEHAVIOURS.items()),
        *(f"#define CCAB_EVICT_{_macro(name)} {number} /* {doc} */" for name, (number, doc) in EVICT.items()),
        "",
        "static inline const struct ccab_behaviour *ccab_behaviours(const struct ccab_host_info *info)",
        "{",
        "    return (const struct ccab_behaviour *)((uintptr_t)info + info->behaviours_offset);",
        "}",
        "",
        "/* RSI_HOST_CALL immediates */",
        *(f"#define CCAB_HC_{name} {number} /* {doc} */" for name, (number, doc) in HOST_CALLS.items()),
        f"#define CCAB_HC_UNKNOWN {HOST_CALL_UNKNOWN:#x}ULL",
        f"#define CCAB_PUTS_MAX {PUTS_MAX}",
        *(f"#define CCAB_PEEK_{name} {number} /* {doc} */" for name, (number, doc) in PEEK.items()),
        *(f"#define CCAB_VICTIM_{name} {number} /* {doc} */" for name, (number, doc) in VICTIM.items()),
        "",
        "/* Arm semihosting, HLT #0xF000: the host's way to end the machine with an exit code */",
        f"#define CCAB_SYS_EXIT_EXTENDED {SEMIHOSTING_EXIT_EXTENDED:#x}",
        f"#define CCAB_APPLICATION_EXIT {SEMIHOSTING_APPLICATION_EXIT:#x}",
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"
