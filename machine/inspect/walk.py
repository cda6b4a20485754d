# SPDX-License-Identifier: GPL-2.0-or-later
"""One translation, step by step: stage 1, stage 2 and the granule protection check (Arm ARM D8, D9).

The steps are read from the tables in memory; whether the access is allowed in the end is the plugin's word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bridge.arch.esr import fault_status_text
from bridge.arch.registers import HcrEl2, TcrEl1, TcrEl2, VtcrEl2
from bridge.pas import GPI, PAS
from bridge.plugin import ffi, lib
from machine.inspect.contexts import Context, register

if TYPE_CHECKING:
    from bridge.core import Core
    from machine.machine import Machine

ACCESSES = {"read": 0, "write": 1, "fetch": 2}
_MASK48 = (1 << 48) - 1
_GRANULES = {0: 12, 1: 16, 2: 14}  # TCR_ELx.TG0, VTCR_EL2.TG0
_UPPER_GRANULES = {1: 14, 2: 12, 3: 16}  # TCR_EL1.TG1


class _Failed(Exception):
    """The walk stops here."""


class Walk:
    """A walk under way.  lines: what has been looked at."""

    def __init__(self, machine: Machine, context: Context) -> None:
        assert context.core is not None
        self.machine = machine
        self.context = context
        self.core: Core = context.core
        self.el = context.el
        self.lines: list[str] = []

    def _reg(self, name: str) -> int:
        return register(self.core, name)

    def _fail(self, text: str) -> None:
        self.lines.append(f"  ✗ {text}")
        raise _Failed

    def gpc(self, pa: int, pas: PAS, indent: str) -> None:
        """The granule protection check of one access; fails where the GPT says so."""
        gpi = self.machine.gpt.get(pa)
        good = gpi in (GPI(pas), GPI.ANY)
        if not good:
            self._fail(f"{indent}GPC: PA {pa:#x} is {gpi.text}, the access is {pas.text}")
        self.lines.append(f"    {indent}GPC: PA {pa:#x} is {gpi.text}")

    def _entry(self, pa: int, pas: PAS, indent: str) -> int:
        self.gpc(pa, pas, indent)
        if not self.machine.memory.is_ram(pa, 8):
            self._fail(f"{indent}no memory at PA {pa:#x}")
        return self.machine.memory.read64(pa & ~7)

    def _levels(
        self, what: str, base: int, start: int, page_bits: int, bits: int, address: int, fetch: Callable[[int], int]
    ) -> tuple[int, int, int]:
        """(descriptor, its level, log2 of what it covers) of the leaf."""
        stride = page_bits - 3
        for level in range(start, 4):
            shift = page_bits + (3 - level) * stride
            width = bits - shift if level == start else stride
            index = address >> shift & (1 << width) - 1
            desc = fetch(base + 8 * index)
            table = desc & 3 == 3 and level < 3
            valid = desc & 3 == 3 or (desc & 3 == 1 and level < 3)
            kind = "table" if table else "invalid" if not valid else "page" if level == 3 else "block"
            self.lines.append(f"  {what} level {level}: [{index:#x}] at {base + 8 * index:#x} = {desc:#018x} {kind}")
            if not valid:
                self._fail(f"{what}: translation fault, level {level}")
            if not table:
                return desc, level, shift
            base = desc & _MASK48 & ~((1 << page_bits) - 1)
        raise AssertionError("level 3 has no tables")

    def stage1(self, va: int) -> tuple[int, bool]:
        """(IPA, whether its descriptor has NS) of a VA."""
        hcr = self._reg("HCR_EL2") if self.machine.config.boot.el == 2 and self.context.rec is None else 0
        host = bool(hcr & HcrEl2.E2H.mask) and (self.el == 2 or bool(hcr & HcrEl2.TGE.mask))
        suffix = "EL2" if self.el == 2 or host else "EL1"
        sctlr, tcr = self._reg(f"SCTLR_{suffix}"), self._reg(f"TCR_{suffix}")
        if not sctlr & 1:
            self.lines.append(f"  stage 1: off (SCTLR_{suffix}.M = 0)")
            return va & _MASK48, False
        if suffix == "EL2" and not host:
            two = TcrEl2(tcr)
            upper, size, tbi, granule = False, two.T0SZ, two.TBI, _GRANULES.get(two.TG0)
        else:
            one = TcrEl1(tcr)
            upper = bool(va >> 55 & 1)
            size, tbi = (one.T1SZ, one.TBI1) if upper else (one.T0SZ, one.TBI0)
            granule = _UPPER_GRANULES.get(one.TG1) if upper else _GRANULES.get(one.TG0)
            if one.EPD1 if upper else one.EPD0:
                self._fail(f"stage 1: TCR_{suffix}.EPD{int(upper)} forbids walks")
        bits = 64 - size
        if granule is None or not 16 <= bits <= 48:
            self._fail(f"stage 1: TCR_{suffix} = {tcr:#x}: {bits} bits are not walked here")
            raise AssertionError
        ttbr = f"TTBR{int(upper)}_{suffix}"
        top = va >> bits & (1 << (56 if tbi else 64) - bits) - 1
        self.lines.append(f"  stage 1: {ttbr} = {self._reg(ttbr):#x}, {bits} bits, {1 << granule - 10} KiB granule")
        if top != ((1 << (56 if tbi else 64) - bits) - 1 if upper else 0):
            self._fail(f"stage 1: VA {va:#x} lies outside of both halves")
        stride = granule - 3
        start = 4 - -(-(bits - granule) // stride)
        base = self._reg(ttbr) & _MASK48 & ~((1 << max(6, bits - granule - (3 - start) * stride + 3)) - 1)

        def fetch(at: int) -> int:
            pa, pas = self.stage2(at, "  ")
            return self._entry(pa, pas, "  ")

        desc, level, shift = self._levels("stage 1", base, start, granule, bits, va & (1 << bits) - 1, fetch)
        inside = (1 << shift) - 1
        self.lines.append(f"    {' '.join(_leaf1(desc))}")
        if not desc & 1 << 10:
            self.lines.append(f"    AF is clear: an access flag fault, level {level}, unless hardware sets it")
        return desc & _MASK48 & ~inside | va & inside, bool(desc & 1 << 5)

    def stage2(self, ipa: int, indent: str = "", secure_ns: bool = False) -> tuple[int, PAS]:
        """(PA, PAS) of an IPA."""
        rec = self.context.rec
        pas = PAS(self.core.pas)
        if rec is not None:
            s2 = rec.realm.stage2
            if ipa >= 1 << s2.ipa_width:
                self._fail(f"{indent}stage 2: IPA {ipa:#x} is beyond the realm's {s2.ipa_width} bits")

            def fetch(at: int) -> int:
                return self._entry(at, PAS.REALM, indent + "  ")

            desc, _, shift = self._levels(f"{indent}stage 2", s2.rtt_base, s2.start_level, 12, s2.ipa_width, ipa, fetch)
            inside = (1 << shift) - 1
            pas = PAS.NON_SECURE if desc >> 55 & 1 else PAS.REALM
            address = desc & (1 << 50) - 1 | (desc >> 8 & 3) << 50 if s2.lpa2 else desc & _MASK48
            return address & ~inside & ~0xFFF | ipa & inside, pas
        if self.el == 2 or self.machine.config.boot.el != 2 or pas is not PAS.NON_SECURE:
            return ipa, PAS.NON_SECURE if secure_ns and pas is PAS.SECURE else pas
        hcr = self._reg("HCR_EL2")
        if not hcr & HcrEl2.VM.mask or (hcr & HcrEl2.TGE.mask and hcr & HcrEl2.E2H.mask):
            return ipa, pas
        vtcr = VtcrEl2(self._reg("VTCR_EL2"))
        if vtcr.TG0 != 0 or vtcr.DS:
            self._fail(f"{indent}stage 2: VTCR_EL2 = {vtcr.value:#x} is not walked here")
        bits, start = 64 - vtcr.T0SZ, 2 - vtcr.SL0
        if ipa >> bits:
            self._fail(f"{indent}stage 2: IPA {ipa:#x} is beyond {bits} bits")
        base = self._reg("VTTBR_EL2") & _MASK48 & ~1

        def own(at: int) -> int:
            return self._entry(at, pas, indent + "  ")

        desc, _, shift = self._levels(f"{indent}stage 2", base, start, 12, bits, ipa, own)
        inside = (1 << shift) - 1
        return desc & _MASK48 & ~inside & ~0xFFF | ipa & inside, pas


def _leaf1(desc: int) -> Iterator[str]:
    yield f"AttrIndx={desc >> 2 & 7}"
    yield f"AP={desc >> 6 & 3:#04b}"
    for name, bit in (("NS", 5), ("AF", 10), ("nG", 11), ("PXN", 53), ("UXN", 54)):
        if desc >> bit & 1:
            yield name


def stage1(machine: Machine, context: Context, va: int) -> int | None:
    """The IPA of a VA by the tables; None where they have none."""
    if context.core is None:
        return None
    try:
        return Walk(machine, context).stage1(va)[0]
    except _Failed:
        return None


def physical(machine: Machine, context: Context, va: int) -> int | None:
    """The PA of a VA by the tables, whatever the granule protection check says of it; None where they have none."""
    if context.core is None:
        return None
    run = Walk(machine, context)
    try:
        ipa, ns = run.stage1(va)
        return run.stage2(ipa, secure_ns=ns)[0]
    except _Failed:
        return None


def walk(machine: Machine, context: Context, va: int, access: str = "read") -> list[str]:
    """Lines: each table entry and check on the way of an access, the failing one marked ✗, and what comes out."""
    if context.core is None:
        return [f"{context.title} has not run: it has no translations"]
    run = Walk(machine, context)
    run.lines.append(f"{access} of VA {va:#x} by {context.title}")
    try:
        ipa, ns = run.stage1(va)
        pa, pas = run.stage2(ipa, secure_ns=ns)
        if context.rec is not None:
            run.lines.append(f"    IPA {ipa:#x}")
        run.gpc(pa, pas, "")
    except _Failed:
        pass
    out = ffi.new("uint64_t *"), ffi.new("uint32_t *"), ffi.new("uint32_t *"), ffi.new("uint32_t *")
    if lib.cca_translate_va(context.core.handle, va, ACCESSES[access], *out):
        run.lines.append(f"= PA {out[0][0]:#x}, {PAS(out[1][0]).text}")
    else:
        run.lines.append(f"= {fault_status_text(out[2][0])} (stage {out[3][0]})")
    return run.lines
