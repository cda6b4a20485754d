# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables of docs/secure-world.md, generated from the declarations.

python -m machine.ffa.docs           writes them into the page
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from machine.ffa import abi, sip
from machine.ffa.abi import FfaCall, FfaStatus
from rmm.abi.call import Call, Value
from rmm.abi.docs import _table
from rmm.abi.values import El3Status, Values, members, name_of

PATH = Path(__file__).resolve().parents[2] / "docs" / "secure-world.md"
BEGIN, END = "<!-- generated: python -m machine.ffa.docs -->\n", "<!-- end -->\n"


def _registers(values: Sequence[Value], first: int) -> Iterator[str]:
    at = first
    for value in values:
        last = at + value.count - 1
        yield f"X{at}{f'..X{last}' if last > at else ''} {value.name} ({value.type.name})"
        at += value.count


def _call(call: Call, statuses: type[Values]) -> Iterator[str]:
    fids = [call.fid] if call.fid32 is None else [call.fid, call.fid32]
    ids = ", ".join(f"`{fid:#x}`" for fid in fids)
    section = f"DEN0077A {call.section}" if isinstance(call, FfaCall) else f"rmm-abi.md {call.section}"
    yield from (f"### {call.name}", "", f"{call.doc} {ids}; {section}.", "")
    if isinstance(call, FfaCall):
        who = ", ".join(call.callers) or "nobody: a result only"
        yield f"Called by: {who}. Completes a call of: {', '.join(call.receivers) or 'nobody'}."
        yield ""
    if call.inputs:
        yield from ("In: " + "; ".join(_registers(call.inputs, 1)) + ".", "")
    if call.outputs:
        first = 0 if call is abi.VERSION else 2
        yield from ("Out: " + "; ".join(_registers(call.outputs, first)) + ".", "")
    if call.conditions:
        rows = [
            (str(number), f"`{c.name}`", str(name_of(statuses, c.status or 0)), c.doc)
            for number, c in enumerate(call.conditions, 1)
        ]
        yield from _table(("#", "fails as", "status", "when"), rows)


def tables() -> str:
    """The generated part of the page."""
    lines = ["", "## FF-A calls", ""]
    for call in abi.CALLS:
        if call.supported:
            lines += _call(call, FfaStatus)
    known = ", ".join(f"`{call.name}` ({call.fid:#x})" for call in abi.CALLS if not call.supported)
    lines += [f"Known by name, answered NOT_SUPPORTED: {known}.", ""]
    lines += ["## Calls of the Secure world to the monitor", ""]
    for granule_call in sip.CALLS:
        lines += _call(granule_call, El3Status)
    lines += ["## Values", ""]
    sets = (FfaStatus, abi.InfoFlags, abi.Properties)
    rows = [
        (group.__name__, ", ".join(f"{name} = {value}" for name, value in members(group).items())) for group in sets
    ]
    lines += _table(("set", "members"), rows)
    return "\n".join(lines)


def renewed(page: str) -> str:
    """The page with its tables as the declarations have them now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{tables()}{END}{after}"


if __name__ == "__main__":
    PATH.write_text(renewed(PATH.read_text(encoding="utf-8")), encoding="utf-8")
