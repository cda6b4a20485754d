# SPDX-License-Identifier: GPL-2.0-or-later
"""The ABI as a Markdown page, generated from the declarations.

python -m rmm.abi.docs FILE          writes the page
python -m rmm.abi.docs --check FILE  fails when it is not up to date
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rmm.abi import bits, el3, later, psci, rmi, rsi, values
from rmm.abi.bits import Register
from rmm.abi.call import STATUSES, Call, Condition, Value
from rmm.abi.structs import STRUCTS
from rmm.abi.values import Values, members, name_of

_VALUES: tuple[type[Values], ...] = (
    values.RmiStatus,
    values.RsiStatus,
    values.PsciStatus,
    values.El3Status,
    values.HashAlgorithm,
    values.ExitReason,
    values.Hipas,
    values.Ripas,
    values.DataMeasure,
    values.Response,
    values.RipasChangeFlags,
    values.RealmState,
    values.GranuleState,
    values.AffinityState,
)
_LATER_VALUES: tuple[type[Values], ...] = (
    values.RmiStatusLater,
    values.RsiStatusLater,
    values.ExitReasonLater,
    values.RipasLater,
)
_REGISTERS = (
    bits.REALM_FLAGS,
    bits.REC_CREATE_FLAGS,
    bits.REC_ENTER_FLAGS,
    bits.FEATURE_REGISTER_0,
    bits.UNPROTECTED_DESC,
    bits.REC_MPIDR,
    bits.GICV3_HCR,
    bits.GICV3_LR,
)
_INTERFACES = (
    ("Realm Management Interface (host to RMM)", rmi.CALLS),
    ("Realm Services Interface (realm to RMM)", rsi.CALLS),
    ("PSCI and SMCCC (realm to RMM)", (*psci.CALLS, psci.SMCCC_VERSION)),
    ("RMM-EL3 interface (RMM to Root monitor)", el3.CALLS),
)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def _registers(parts: Sequence[Value], first: int) -> Iterator[tuple[str, str, str]]:
    at = first
    for value in parts:
        last = at + value.count - 1
        yield (f"X{at}" if last == at else f"X{at}..X{last}"), value.name, value.type.name
        at += value.count


def _status(call: Call, condition: Condition) -> str:
    if condition.status is None:
        return "exit"
    name = str(name_of(STATUSES[call.interface], condition.status))
    if name == "ERROR_RTT" or condition.index:
        return f"{name}({condition.index})"
    return name


def _call(call: Call) -> Iterator[str]:
    fids = f"{call.fid:#x}" + (f", {call.fid32:#x}" if call.fid32 is not None else "")
    yield f"### {call.name}"
    yield ""
    yield f"{call.doc} `{fids}`, since {call.since}, rmm-abi.md {call.section}."
    yield ""
    rows = [("in", *row) for row in _registers(call.inputs, 1)]
    rows += [("out", *row) for row in _registers(call.outputs, 1 if call.status else 0)]
    if rows:
        yield from _table(("", "register", "name", "type"), rows)
    if call.conditions:
        failures = [
            (
                str(number),
                f"`{condition.name}`",
                _status(call, condition),
                condition.doc + ("; found late" if condition.late else ""),
                ", ".join(condition.gives),
            )
            for number, condition in enumerate(call.conditions, 1)
        ]
        yield from _table(("#", "fails as", "status", "when", "also gives"), failures)
    if call.footprint:
        yield "May change: " + ", ".join(f"`{item}`" for item in call.footprint) + "."
        yield ""


def _register(register: Register) -> Iterator[str]:
    yield f"### {register.name} (rmm-abi.md {register.doc})"
    yield ""
    rows = [(f"[{f.hi}:{f.lo}]" if f.hi != f.lo else f"[{f.lo}]", f.name, f.doc) for f in register.fields]
    yield from _table(("bits", "field", "meaning"), rows)


def markdown() -> str:
    """The whole page."""
    lines = [
        "# The RMM's interfaces, RMM 1.0-rel0",
        "",
        "Generated from the declarations in `rmm/abi/`; do not edit. Conditions are tested in the order given, and the",
        "first that holds decides. `ERROR_RTT(walk)`: the index is the level where the walk stopped; `level`,",
        "`level-1`: from the input. X4 of an RMI result is the caller's unless the command writes it.",
        "",
    ]
    for title, calls in _INTERFACES:
        lines += [f"## {title}", ""]
        for call in calls:
            if call.supported:
                lines += _call(call)
        unsupported = [f"`{call.name}` ({call.fid:#x}, {call.since})" for call in calls if not call.supported]
        if unsupported:
            lines += ["Known, not offered: " + ", ".join(unsupported) + ".", ""]
    lines += ["## Structures", ""]
    for struct in STRUCTS:
        lines += [f"### {struct.name} ({struct.size:#x} bytes; rmm-abi.md {struct.doc})", ""]
        lines += _table(("offset", "field", "type", "meaning"), struct.doc_rows())
    lines += ["## Bit fields", ""]
    for register in _REGISTERS:
        lines += _register(register)
    lines += ["## Values", ""]
    lines += _table(
        ("set", "members"),
        [(group.__name__, ", ".join(f"{n} = {v}" for n, v in members(group).items())) for group in _VALUES],
    )
    lines += ["## Later revisions", "", "Known by name; each call answers -1, each value is refused.", ""]
    lines += _table(
        ("call", "function id", "since"),
        [(f"`{c.name}`", f"{c.fid:#x}", c.since) for c in later.RMI_CALLS + later.RSI_CALLS],
    )
    lines += _table(
        ("set", "members"),
        [(group.__name__, ", ".join(f"{n} = {v}" for n, v in members(group).items())) for group in _LATER_VALUES],
    )
    return "\n".join(lines).rstrip() + "\n"


def main(arguments: Sequence[str]) -> int:
    from pathlib import Path

    check = list(arguments[:1]) == ["--check"]
    if len(arguments) != 1 + check:
        print("usage: python -m rmm.abi.docs [--check] FILE")
        return 2
    path = Path(arguments[-1])
    if not check:
        path.write_text(markdown(), encoding="utf-8")
        return 0
    if path.is_file() and path.read_text(encoding="utf-8") == markdown():
        return 0
    print(f"{path} is not what the declarations say: run python -m rmm.abi.docs {path}")
    return 1


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
