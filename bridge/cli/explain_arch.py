# SPDX-License-Identifier: GPL-2.0-or-later
"""Explanations of the Arm architecture: syndromes, processor state, system registers, granule protection."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bridge.arch import registers, sysregs
from bridge.arch.esr import ISS, Esr, FaultStatus, fault_status_text, iss_of
from bridge.arch.gpt import level0_entry, level1_entry
from bridge.arch.pstate import Pstate, describe_pstate
from bridge.bitfields import Field, Register
from bridge.pas import GPI

_REGISTERS = {"esr": Esr, "spsr": Pstate, "pstate": Pstate}


def _highest_first(register: Register | type[Register]) -> list[tuple[str, Field]]:
    return sorted(register.fields.items(), key=lambda item: -item[1].hi)


def _fields(register: Register) -> Iterator[str]:
    for name, field in _highest_first(register):
        where = f"[{field.hi}]" if field.hi == field.lo else f"[{field.hi}:{field.lo}]"
        yield f"  {where:<8} {name:<10} {field.text(field.get(register.value)):<24} {field.doc}".rstrip()
    if register.reserved():
        yield f"  reserved bits are set: {register.reserved():#x}"


def _esr(number: int) -> Iterator[str]:
    from bridge.arch.esr import decode_esr

    esr = Esr(number)
    yield f"ESR {esr.value:#x}: {decode_esr(number)}"
    iss = iss_of(number)
    yield from _fields(esr)
    if iss is None:
        return
    yield f"  ISS: {(type(iss).__doc__ or '').strip()}"
    yield from (f"  {line}" for line in _fields(iss))
    for name, field in iss.fields.items():
        if field.names is FaultStatus:
            yield f"  {name}: {fault_status_text(field.get(iss.value))}"


def _pstate(number: int) -> Iterator[str]:
    yield f"SPSR {Pstate(number).value:#x}: {describe_pstate(number)}"
    yield from _fields(Pstate(number))


def _fsc(number: int) -> Iterator[str]:
    yield f"fault status {number & 0x3F:#x}: {fault_status_text(number & 0x3F)}"


def _gpi(number: int) -> Iterator[str]:
    try:
        yield f"GPI {number:#x}: {GPI(number).text}"
    except ValueError:
        yield f"GPI {number:#x}: reserved; an access faults as if the table were not valid"


def _sysreg(encoding: int) -> Iterator[str]:
    op0, op1, crn, crm, op2 = sysregs.fields(encoding)
    yield f"{sysregs.sysreg_name(encoding)}  {sysregs.generic_name(encoding)}"
    yield f"  op0={op0} op1={op1} CRn={crn} CRm={crm} op2={op2}"
    if op0 >= 2:
        yield f"  MRS Xt, … is {0xD520_0000 | encoding << 5:#x} with Xt in bits [4:0]"


def _declared(name: str, register: type[Register]) -> Callable[[int], Iterator[str]]:
    def lines(number: int) -> Iterator[str]:
        value = register(number)
        yield f"{name} {value.value:#x}: {value}"
        yield from _fields(value)

    return lines


def _gpt_entry(level: int) -> Callable[[int], Iterator[str]]:
    def lines(number: int) -> Iterator[str]:
        entry = (level1_entry if level else level0_entry)(number)
        yield f"{(type(entry).__doc__ or '').strip()}"
        yield from _fields(entry)
        yield from (f"  {problem}" for problem in entry.problems())

    return lines


def names() -> list[str]:
    """Everything that `by_name` knows."""
    return [*_REGISTERS, "gpi", "fsc", *sysregs.names().values(), *(f"GPI_{gpi.name}" for gpi in GPI)]


def by_name(word: str) -> list[Iterator[str]]:
    """The explanation of a name, in any case; none when it is not of the architecture."""
    low = word.lower()
    if low in _REGISTERS:
        return [_layout(_REGISTERS[low])]
    if low == "gpi":
        return [(line for gpi in GPI for line in _gpi(gpi))]
    if low == "fsc":
        return [(line for status in FaultStatus for line in _fsc(status))]
    if low.startswith("gpi_") and low[4:].upper() in GPI.__members__:
        return [_gpi(GPI[low[4:].upper()])]
    encoding = sysregs.find(word)
    return [] if encoding is None else [_system_register(encoding)]


def _system_register(encoding: int) -> Iterator[str]:
    yield from _sysreg(encoding)
    layout = registers.named(sysregs.sysreg_name(encoding))
    if layout is not None:
        yield from (f"  {line}".replace("    ", "  ", 1) for line in _layout(layout))


def _layout(register: type[Register]) -> Iterator[str]:
    yield (register.__doc__ or "").strip()
    for name, field in _highest_first(register):
        where = f"[{field.hi}]" if field.hi == field.lo else f"[{field.hi}:{field.lo}]"
        yield f"  {where:<8} {name:<10} {field.doc}".rstrip()
        if field.names is not None:
            yield from (f"           {int(member):#04x} {member.name}" for member in field.names)
    if register is Esr:
        yield "  ISS is laid out by EC:"
        for ec, iss in ISS.items():
            yield f"    {ec.name}: {', '.join(iss.fields)}"


def decoders() -> dict[str, Callable[[int], Iterator[str]]]:
    """{kind of value: what explains a number of it}."""
    words: dict[str, Callable[[int], Iterator[str]]] = {"gpt-l0": _gpt_entry(0), "gpt-l1": _gpt_entry(1)}
    for name in registers.names():
        layout = registers.named(name)
        if layout is not None:
            words[name.lower()] = _declared(name, layout)
    for name in sysregs.names().values():
        if name.startswith("ESR_EL"):
            words[name.lower()] = _esr
        elif name.startswith("SPSR_EL"):
            words[name.lower()] = _pstate
    return words | {"esr": _esr, "spsr": _pstate, "pstate": _pstate, "fsc": _fsc, "gpi": _gpi, "sysreg": _sysreg}
