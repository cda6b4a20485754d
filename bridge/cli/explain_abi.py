# SPDX-License-Identifier: GPL-2.0-or-later
"""Explanations of the RMM's interfaces.  All of it is out of `rmm.abi`; there is no second table here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial

from rmm.abi import bits, by_fid, calls_by_fid, structs, values
from rmm.abi import by_name as call_by_name
from rmm.abi.bits import Register
from rmm.abi.call import STATUSES, Call, Condition, Value
from rmm.abi.layout import Struct
from rmm.abi.values import Values, members, name_of

_MASK64 = (1 << 64) - 1
_LATER = "of a later revision, not of RMM 1.0"
_INDEX = {
    "walk": "the level where the RTT walk stopped",
    "level": "the level that was asked for",
    "level-1": "the level that was asked for, minus 1",
}


# --- calls


def describe_call(call: Call) -> Iterator[str]:
    """Prototype, registers, ordered conditions and effects of a call."""
    ids = f"{call.fid:#010X}".replace("X", "x") + (f", SMC32 {call.fid32:#010x}" if call.fid32 is not None else "")
    yield f"{call.name}  {ids}"
    if not call.supported:
        yield f"  known by name only ({_LATER if call.since != '1.0' else 'not supported'}); the answer is -1"
        return
    if call.doc:
        yield f"  {call.doc}"
    yield ""
    taken = ", ".join(value.name for value in call.inputs)
    given = [value.name for value in call.outputs]
    yield f"  {call.name}({taken}) -> {', '.join(['status', *given] if call.status else given or ['status'])}"
    if call.inputs:
        yield ""
        yield "  inputs"
        yield from registers(call.inputs, 1)
    yield ""
    yield "  outputs"
    if call.status:
        success = f"{call.interface}_{name_of(STATUSES[call.interface], 0)}"
        yield f"    {'X0':<8} {'status':<12} {call.interface} status; {success} is 0"
    yield from registers(call.outputs, 1 if call.status else 0)
    if call.conditions:
        yield ""
        yield "  fails when (the first that holds decides)"
        width = max(len(condition.name) for condition in call.conditions)
        for number, condition in enumerate(call.conditions, 1):
            yield f"    {number:2} {condition.name:<{width}}  {_answer(call, condition)}: {condition.doc}"
            if condition.gives:
                yield f"       {'':<{width}}  gives {', '.join(condition.gives)} all the same"
        for index in sorted({str(condition.index) for condition in call.conditions} & set(_INDEX)):
            yield f"    index {index}: {_INDEX[index]}"
    if call.footprint:
        yield ""
        yield f"  changes, when it succeeds: {', '.join(call.footprint)}"


def registers(declared: tuple[Value, ...], at: int) -> Iterator[str]:
    """Lines of inputs or outputs from X`at` on."""
    for value in declared:
        where = f"X{at}" if value.count == 1 else f"X{at}..X{at + value.count - 1}"
        text = value.type.name + (f", {value.doc}" if value.doc else "")
        if value.type.values is not None:
            text += ": " + ", ".join(f"{number} {name}" for name, number in members(value.type.values).items())
        yield f"    {where:<8} {value.name:<12} {text}"
        at += value.count


def _answer(call: Call, condition: Condition) -> str:
    """`RMI_ERROR_RTT [walk]`: what the caller sees."""
    if condition.status is None:
        return "no answer, the REC exits"
    name = name_of(STATUSES[call.interface], condition.status)
    index = f"[{condition.index}]" if condition.index else ""
    late = " (after effects that stay)" if condition.late else ""
    return f"{call.interface}_{name}{index}{late}"


def function_id(fid: int) -> Iterator[str]:
    """What an SMC with this function id is."""
    call = by_fid(fid)
    if call is not None:
        yield from describe_call(call)
        return
    owners = {0: "architecture", 1: "CPU", 2: "SiP", 3: "OEM", 4: "standard secure", 5: "standard hypervisor"}
    owner = fid >> 24 & 0x3F
    kind = "fast" if fid >> 31 else "yielding"
    width = "SMC64" if fid >> 30 & 1 else "SMC32"
    yield f"{fid:#010x}  a {kind} {width} call, owner {owner} ({owners.get(owner, 'other')}), number {fid & 0xFFFF:#x}"
    yield "  no call is declared with this function id; the answer is -1"


# --- statuses and other named numbers


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


@cache
def _value_sets() -> Mapping[str, type[Values]]:
    """{"rmi-status": RmiStatus} for every set of named numbers of RMM 1.0."""
    groups = [g for g in vars(values).values() if isinstance(g, type) and issubclass(g, Values) and g is not Values]
    return {_kebab(group.__name__): group for group in groups if not group.__name__.endswith("Later")}


def _named(group: type[Values], number: int) -> str:
    name = name_of(group, number)
    if name is not None:
        return name
    later: type[Values] | None = getattr(values, f"{group.__name__}Later", None)
    name = name_of(later, number) if later is not None else None
    return f"{name}, {_LATER}" if name is not None else "no such value"


def _decode_value(group: type[Values], number: int) -> Iterator[str]:
    signed = any(member < 0 for member in members(group).values())
    if signed and number >> 63 == 1:
        number -= 1 << 64
    yield f"{group.__name__} {number}: {_named(group, number)}"
    interface = next((key for key, statuses in STATUSES.items() if statuses is group and key != "SMCCC"), None)
    if interface is None:
        return
    if number in (-1, _MASK64) and not signed:
        yield "  all ones: not a status; nobody implements the function id that was called"
    elif number:
        yield from _who_answers(interface, number, None)


def _decode_rmi_status(number: int) -> Iterator[str]:
    if number & _MASK64 == _MASK64:
        yield "RmiStatus 0xffffffffffffffff: not a status; nobody implements the function id that was called"
        return
    if not 0 <= number < 1 << 16:
        yield f"RmiStatus {number:#x}: no RMI status has bits above 15 set"
        return
    status, index = number & 0xFF, number >> 8
    index_text = f", index {index}" if number >> 8 or status == values.RmiStatus.ERROR_RTT else ""
    yield f"RmiStatus {number:#x}: {_prefixed('RMI', _named(values.RmiStatus, status))}{index_text}"
    if status == values.RmiStatus.ERROR_RTT:
        yield f"  the index is a level of the RTT: {index - 256 if index > 127 else index}"
    if status:
        yield from _who_answers("RMI", status, index)


def _prefixed(interface: str, name: str) -> str:
    return name if name == "no such value" else f"{interface}_{name}"


def _who_answers(interface: str, status: int, index: int | None) -> Iterator[str]:
    """The calls and conditions that lead to a status."""
    found = [
        (call, [c for c in call.conditions if c.status == status and _may_have(c, index)])
        for call in _calls()
        if call.interface == interface
    ]
    found = [(call, conditions) for call, conditions in found if conditions]
    if found:
        yield "  answered by"
    for call, conditions in found:
        yield f"    {call.name}: {', '.join(condition.name for condition in conditions)}"


def _may_have(condition: Condition, index: int | None) -> bool:
    return index is None or isinstance(condition.index, str) or condition.index == index


def _describe_values(group: type[Values]) -> Iterator[str]:
    yield f"{group.__name__}{_doc(group)}"
    later: type[Values] | None = getattr(values, f"{group.__name__}Later", None)
    for name, number in members(group).items():
        yield f"  {number:3}  {name}"
    for name, number in members(later).items() if later is not None else ():
        yield f"  {number:3}  {name}  ({_LATER})"


def _doc(group: type) -> str:
    text = re.sub(r"\s*\(§[^)]*\)", "", (group.__doc__ or "").strip()).split("\n")[0]
    return f": {text}" if text else ""


def _describe_condition(name: str) -> Iterator[str]:
    yield f"{name}: a condition under which these calls fail"
    for call in _calls():
        for condition in call.conditions:
            if condition.name == name:
                yield f"  {call.name} = {_answer(call, condition)}: {condition.doc}"


# --- registers, flag words, structures


def _describe_register(register: Register) -> Iterator[str]:
    yield f"{register.name}, bits"
    for field in reversed(register.fields):
        yield f"  {_bits(field):<8} {field.name:<14} {field.doc}".rstrip()


def _decode_register(register: Register, number: int) -> Iterator[str]:
    number &= _MASK64
    yield f"{register.name} {number:#x}: {register.text(number)}"
    for field in reversed(register.fields):
        value = field.get(number)
        shown = str(value) if value < 10 else f"{value} ({value:#x})"
        yield f"  {_bits(field):<8} {field.name:<14} {shown:<12} {field.doc}".rstrip()
    rest = number & ~register.valid
    if rest:
        yield f"  reserved bits are set: {rest:#x}"


def _bits(field: bits.Bits) -> str:
    return f"[{field.hi}]" if field.hi == field.lo else f"[{field.hi}:{field.lo}]"


def _describe_struct(struct: Struct) -> Iterator[str]:
    yield f"{struct.name} (struct {struct.c_name}), {struct.size:#x} bytes, little-endian"
    width = max(len(row[1]) for row in struct.doc_rows())
    for offset, name, kind, doc in struct.doc_rows():
        yield f"  {offset:>6}  {name:<{width}}  {kind:<9} {doc}".rstrip()


# --- what there is


@cache
def _calls() -> tuple[Call, ...]:
    return tuple({call.name: call for call in calls_by_fid().values()}.values())


@cache
def _register_table() -> Mapping[str, Register]:
    return {value.name.lower(): value for value in vars(bits).values() if isinstance(value, Register)}


@cache
def _struct_table() -> Mapping[str, Struct]:
    table = {struct.name.lower(): struct for struct in structs.STRUCTS}
    return table | {struct.c_name: struct for struct in structs.STRUCTS}


@cache
def _condition_names() -> tuple[str, ...]:
    return tuple(sorted({condition.name for call in _calls() for condition in call.conditions}))


@cache
def _macros() -> Mapping[str, tuple[str, str]]:
    """{name: (value, header)} of what the generated C headers define."""
    from rmm.abi import cheader

    found = {}
    for header, text in cheader.headers().items():
        for name, value in re.findall(r"^#define (\w+) (\(?-?\w+\)?)$", text, re.MULTILINE):
            found[name] = (value.strip("()"), header)
    return found


def names() -> list[str]:
    """Everything that `by_name` knows, as it is written."""
    return [
        *(call.name for call in _calls()),
        *(struct.name for struct in structs.STRUCTS),
        *(register.name for register in _register_table().values()),
        *(group.__name__ for group in _value_sets().values()),
        *_condition_names(),
        *_macros(),
    ]


def by_name(word: str) -> list[Iterator[str]]:
    """Explanations of all that has this name, in any case; none when it is not of the RMM's interfaces."""
    low, high = word.lower(), word.upper()
    found: list[Iterator[str]] = []
    call = call_by_name(word) or call_by_name(high.removeprefix("SMC_"))
    if call is not None:
        found.append(describe_call(call))
    if low in _struct_table():
        found.append(_describe_struct(_struct_table()[low]))
    register = _register_table().get(low) or _register_table().get(_ALIASES.get(low, ""))
    if register is not None:
        found.append(_describe_register(register))
    group = _value_sets().get(low) or _value_sets().get(_kebab(word))
    if group is not None:
        found.append(_describe_values(group))
    status = _status(high)
    if status is not None:
        found.append(status)
    if low in _condition_names():
        found.append(_describe_condition(low))
    if not found and high in _macros():
        value, header = _macros()[high]
        found.append(iter([f"{high} = {value}, in {header}"]))
    return found


def _status(name: str) -> Iterator[str] | None:
    """Of a status by its full name, such as PSCI_DENIED."""
    for interface, statuses in STATUSES.items():
        number = members(statuses).get(name.removeprefix(f"{interface}_"))
        if number is not None and name.startswith(f"{interface}_"):
            return _decode_rmi_status(number) if interface == "RMI" else _decode_value(statuses, number)
    return None


_ALIASES = {"rmi-features": "rmifeatureregister0", "rtt-desc": "rmiunprotecteddesc"}


def decoders() -> dict[str, Callable[[int], Iterator[str]]]:
    """{kind of value: what explains a number of it}."""
    table: dict[str, Callable[[int], Iterator[str]]] = {"fid": function_id}
    table |= {kind: partial(_decode_value, group) for kind, group in _value_sets().items()}
    table |= {name: partial(_decode_register, register) for name, register in _register_table().items()}
    table |= {alias: table[name] for alias, name in _ALIASES.items()}
    return table | {"rmi-status": _decode_rmi_status}
