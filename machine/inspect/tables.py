# SPDX-License-Identifier: GPL-2.0-or-later
"""GPT, granules, RTTs, realms and their measurements, as lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bridge.errors import UserError
from bridge.pas import GPI
from rmm.abi.values import GranuleState, RealmState, name_of
from rmm.stage2 import ENTRIES, address_of, describe, entry_size, is_table, table_entries

if TYPE_CHECKING:
    from machine.machine import Machine
    from rmm.realm import Realm

LETTERS = {
    GPI.NO_ACCESS: ".",
    GPI.NON_SECURE: "n",
    GPI.SECURE: "s",
    GPI.REALM: "R",
    GPI.ROOT: "#",
    GPI.ANY: "*",
}
WIDTH = 64
RANGES = 200
DUMP = 4096  # bytes that are shown at most


def gpt(machine: Machine) -> Iterator[str]:
    """Ranges, and a picture of each region of RAM: a letter is the PAS of what it stands for, `+` several."""
    table = machine.gpt
    yield f"GPT level 0 at {table.l0_base:#x}, {table.pps_bits}-bit PA, {1 << table.l0_bits - 30} GiB regions"
    ranges = list(table.ranges())
    for base, end, gpi in ranges[:RANGES]:
        yield f"  {base:#014x}-{end - 1:#014x} {gpi.text}"
    if len(ranges) > RANGES:
        yield f"  … {len(ranges) - RANGES} more"
    yield "  " + ", ".join(f"{letter} {gpi.text}" for gpi, letter in LETTERS.items()) + ", + several"
    for region in machine.memory:
        cell = max(4096, -(-region.size // (WIDTH * 4096)) * 4096)
        picture = []
        for at in range(region.base, region.end, cell):
            stop = min(at + cell, region.end)
            here = {gpi for base, end, gpi in ranges if base < stop and end > at}
            covered = sum(min(end, stop) - max(base, at) for base, end, _ in ranges if base < stop and end > at)
            if covered < stop - at:
                here.add(GPI.NO_ACCESS)
            picture.append(LETTERS.get(next(iter(here)), "?") if len(here) == 1 else "+")
        yield f"  {region.base:#014x} {region.name}: {''.join(picture)} ({cell >> 10} KiB each)"


def granule(machine: Machine, pa: int) -> Iterator[str]:
    """PAS, state, owner; the transitions since a debugger looks on, and the last calls that named it."""
    from machine.trace import describe as call_text

    pa &= ~0xFFF
    state = machine.rmm.granule_state(pa)
    name = "not tracked by the RMM" if state < 0 else name_of(GranuleState, state)
    refs = f", {machine.rmm.granules.refs(pa)} references" if state >= 0 else ""
    yield f"granule {pa:#x}: GPT {machine.gpt.get(pa).text}, {name}{refs}"
    whose = owner(machine, pa, state)
    if whose:
        yield f"  {whose}"
    stops = machine.stops
    if stops is not None:
        for change in stops.history.get(pa, ()):
            by = call_text(change.call)[1] if change.call is not None else "a call under way"
            old, new = name_of(GranuleState, change.old), name_of(GranuleState, change.new)
            yield f"  at {change.insns:,}: {old} → {new} by {by}"
    for record in machine.calls.ring:
        if pa in record.args:
            yield f"  last calls: at {record.insns:,} {call_text(record)[1]}"


def owner(machine: Machine, pa: int, state: int) -> str:
    """Whose a granule is: `REC 0 of realm 0x…`, `RTT of realm …`; empty where that cannot be told."""
    for rec in machine.rmm.recs():
        if pa == rec.pa or pa in rec.aux:
            return f"{'REC' if pa == rec.pa else 'auxiliary granule of REC'} {rec.index} of realm {rec.rd:#x}"
    for realm in machine.rmm.realms():
        if pa == realm.rd:
            return f"descriptor of the realm, {name_of(RealmState, realm.state)}"
        if state not in (GranuleState.RTT, GranuleState.DATA):
            continue
        for level, table, ipa in _tables(machine, realm):
            if table == pa:
                return f"RTT of realm {realm.rd:#x}, level {level}, for IPA {ipa:#x}"
            if state != GranuleState.DATA:
                continue
            for index, entry in enumerate(table_entries.unpack(machine.memory.read(table, 4096))):
                _, desc, _ = describe(realm, level, entry)
                size = entry_size(level)
                if not is_table(entry, level) and desc and not entry >> 55 & 1 and 0 <= pa - (desc & ~0xFFF) < size:
                    at = ipa + index * size + pa - (desc & ~0xFFF)
                    return f"data of realm {realm.rd:#x} at IPA {at:#x}"
    return ""


def _tables(machine: Machine, realm: Realm) -> Iterator[tuple[int, int, int]]:
    """(level, PA, first IPA) of every RTT of a realm."""
    stage2 = realm.stage2
    span = entry_size(stage2.start_level) * ENTRIES
    todo = [(stage2.start_level, pa, i * span) for i, pa in enumerate(realm.roots())]
    while todo:
        level, table, base = todo.pop()
        yield level, table, base
        for index, entry in enumerate(table_entries.unpack(machine.memory.read(table, 4096))):
            if is_table(entry, level):
                todo.append((level + 1, address_of(realm, entry), base + index * entry_size(level)))


def realm_at(machine: Machine, rd: int) -> Realm:
    """UserError when there is none."""
    realm = machine.rmm.realm_at.get(rd)
    if realm is None:
        known = ", ".join(f"{one.rd:#x}" for one in machine.rmm.realms()) or "none"
        raise UserError(f"there is no realm {rd:#x} (realms: {known})")
    return realm


def dump(machine: Machine, address: int, size: int, pa_of: Callable[[int], int | None]) -> Iterator[str]:
    """Memory, 16 bytes a line; pa_of: where an address is, None for nowhere."""
    first = address & ~15
    for at in range(first, first + min(size, DUMP), 16):
        pa = pa_of(at)
        if pa is None or not machine.memory.is_ram(pa, 16):
            yield f"{at:#x}: no memory"
            return
        words = machine.memory.read(pa, 16)
        yield f"{at:#x}: {words[:8].hex(' ')}  {words[8:].hex(' ')}"


def ipa(machine: Machine, realm: Realm, address: int, size: int) -> Iterator[str]:
    """A realm's memory by IPA, where there is some."""

    def pa_of(at: int) -> int | None:
        steps = machine.rmm.walk(realm.rd, at)
        if not steps or not steps[-1].hipas.startswith("ASSIGNED"):
            return None
        return steps[-1].pa + (at & entry_size(steps[-1].level) - 1)

    return dump(machine, address, size, pa_of)


def rtt(machine: Machine, rd: int, ipa: int) -> Iterator[str]:
    realm = realm_at(machine, rd)
    steps = machine.rmm.walk(rd, ipa)
    if not steps:
        yield f"IPA {ipa:#x} is beyond the realm's {realm.stage2.ipa_width} bits"
    half = "protected" if ipa < realm.par_end else "unprotected"
    yield f"IPA {ipa:#x} of realm {rd:#x}, {half}"
    for step in steps:
        yield f"  {step}"


def realms(machine: Machine) -> Iterator[str]:
    """Every realm: state, IPA space, tables, RECs."""
    if not machine.rmm.realms():
        yield "no realms"
    for realm in machine.rmm.realms():
        stage2 = realm.stage2
        yield f"realm {realm.rd:#x}: {name_of(RealmState, realm.state)}, VMID {stage2.vmid}"
        yield f"  IPA space of {stage2.ipa_width} bits, start level {stage2.start_level}, RTT base {stage2.rtt_base:#x}"
        yield f"  {sum(1 for _ in _tables(machine, realm))} RTTs, {len(realm.recs)} RECs"
        yield f"  RIM {realm.rim.hex()}"


def rim(machine: Machine, rd: int | None) -> Iterator[str]:
    """RIM and REMs; what entered the RIM, as far as a debugger has looked on."""
    from machine.trace import describe as call_text

    for realm in machine.rmm.realms() if rd is None else [realm_at(machine, rd)]:
        yield f"realm {realm.rd:#x}: RIM {realm.rim.hex()}"
        for index, rem in enumerate(realm.rems):
            yield f"  REM{index} {rem.hex()}"
        for record in machine.stops.measured if machine.stops is not None else ():
            assert record.decl is not None
            names = [value.name for value in record.decl.inputs]
            if "rd" in names and record.args[names.index("rd")] == realm.rd:
                yield f"  at {record.insns:,}: {call_text(record)[1]}"
