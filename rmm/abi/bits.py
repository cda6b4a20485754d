# SPDX-License-Identifier: GPL-2.0-or-later
"""Bit fields of registers and flag words: one declaration to encode, decode and print them."""

from __future__ import annotations


class Bits:
    """A field of a register, bits [hi:lo]."""

    __slots__ = ("doc", "hi", "lo", "mask", "name")

    def __init__(self, name: str, hi: int, lo: int | None = None, doc: str = "") -> None:
        self.name = name
        self.hi = hi
        self.lo = hi if lo is None else lo
        self.mask = ((1 << (self.hi - self.lo + 1)) - 1) << self.lo
        self.doc = doc

    def get(self, register: int) -> int:
        return (register & self.mask) >> self.lo

    def put(self, value: int) -> int:
        """`value` shifted into place; ValueError when it does not fit."""
        placed = value << self.lo
        if value < 0 or placed & ~self.mask:
            raise ValueError(f"{self.name}: {value:#x} does not fit bits [{self.hi}:{self.lo}]")
        return placed


class Register:
    """A 64-bit register or flag word, made of named fields."""

    __slots__ = ("by_name", "c_name", "doc", "fields", "name", "valid")

    def __init__(self, name: str, c_name: str, *fields: Bits, doc: str = "") -> None:
        self.name = name
        self.c_name = c_name  # prefix of its C macros, upper case
        self.fields = fields
        self.by_name = {field.name: field for field in fields}
        self.doc = doc
        self.valid = 0
        for field in fields:
            if self.valid & field.mask:
                raise ValueError(f"{name}: field {field.name} overlaps another")
            self.valid |= field.mask

    def encode(self, **values: int) -> int:
        """The register with the named fields set, every other bit zero."""
        register = 0
        for name, value in values.items():
            register |= self.by_name[name].put(value)
        return register

    def decode(self, register: int) -> dict[str, int]:
        """{field: value} for every field, in the order of declaration."""
        return {field.name: field.get(register) for field in self.fields}

    def text(self, register: int) -> str:
        """`LPA2|SVE` for single bits, `S2SZ=48` for wider fields, a number for what has no name."""
        parts = []
        for field in self.fields:
            value = field.get(register)
            if value:
                parts.append(field.name if field.hi == field.lo else f"{field.name}={value}")
        rest = register & ~self.valid
        if rest or not parts:
            parts.append(f"{rest:#x}" if rest else "0")
        return "|".join(parts)


REALM_FLAGS = Register("RmiRealmFlags", "RMI_REALM_FLAG", Bits("LPA2", 0), Bits("SVE", 1), Bits("PMU", 2), doc="§2.1")
REC_CREATE_FLAGS = Register("RmiRecCreateFlags", "RMI_REC_FLAG", Bits("RUNNABLE", 0), doc="§2.2")
REC_ENTER_FLAGS = Register(
    "RmiRecEnterFlags",
    "RMI_REC_ENTER_FLAG",
    Bits("EMUL_MMIO", 0),
    Bits("INJECT_SEA", 1),
    Bits("TRAP_WFI", 2),
    Bits("TRAP_WFE", 3),
    Bits("RIPAS_RESPONSE", 4, doc="0 accept, 1 reject"),
    doc="§2.3",
)
FEATURE_REGISTER_0 = Register(
    "RmiFeatureRegister0",
    "RMI_FEATURE0",
    Bits("S2SZ", 7, 0),
    Bits("LPA2", 8),
    Bits("SVE_EN", 9),
    Bits("SVE_VL", 13, 10),
    Bits("NUM_BPS", 19, 14),
    Bits("NUM_WPS", 25, 20),
    Bits("PMU_EN", 26),
    Bits("PMU_NUM_CTRS", 31, 27),
    Bits("HASH_SHA_256", 32),
    Bits("HASH_SHA_512", 33),
    Bits("GICV3_NUM_LRS", 37, 34, doc="list registers minus 1"),
    Bits("MAX_RECS_ORDER", 41, 38),
    doc="§2.6",
)
UNPROTECTED_DESC = Register(
    "RmiUnprotectedDesc",
    "RMI_DESC",
    Bits("MEMATTR", 4, 2, doc="stage-2 MemAttr, FWB encoding"),
    Bits("S2AP", 7, 6),
    Bits("OA_51_50", 9, 8, doc="LPA2 only"),
    Bits("OA", 49, 12, doc="[49:48] LPA2 only"),
    doc="§3.14",
)
REC_MPIDR = Register(
    "RmiRecMpidr",
    "RMI_MPIDR",
    Bits("AFF0", 3, 0),
    Bits("AFF1", 15, 8),
    Bits("AFF2", 23, 16),
    Bits("AFF3", 31, 24),
    doc="§11.8",
)
GICV3_HCR = Register(
    "GICv3Hcr",
    "GICV3_HCR",
    Bits("UIE", 1),
    Bits("LRENPIE", 2),
    Bits("NPIE", 3),
    Bits("VGRP0EIE", 4),
    Bits("VGRP0DIE", 5),
    Bits("VGRP1EIE", 6),
    Bits("VGRP1DIE", 7),
    Bits("TDIR", 14),
    Bits("EOICOUNT", 31, 27, doc="exit only"),
    doc="§2.7",
)
GICV3_LR = Register(
    "GICv3Lr",
    "GICV3_LR",
    Bits("VINTID", 31, 0),
    Bits("PINTID", 44, 32),
    Bits("PRIORITY", 55, 48),
    Bits("GROUP", 60),
    Bits("HW", 61),
    Bits("STATE", 63, 62, doc="0 invalid, 1 pending, 2 active, 3 both"),
    doc="§2.7",
)
