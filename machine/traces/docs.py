# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables of docs/trace.md, generated from the declarations: `python -m machine.traces.docs` writes them anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from machine.events import COMMON, OF_CALLS, OWN, Field, calls
from rmm.abi.docs import _table

PATH = Path(__file__).resolve().parents[2] / "docs" / "trace.md"
BEGIN, END = "<!-- generated: python -m machine.traces.docs -->\n", "<!-- end -->\n"
_CALLS = {
    "psci": "PSCI, of the Normal world's PEs and of RECs",
    "smccc": "SMCCC, answered by the monitor",
    "rmi": "RMI: the host calls the RMM",
    "rsi": "RSI: a realm calls the RMM",
    "el3": "the RMM calls the monitor; of these it makes `el3_gtsi_*` and `el3_attest_*`",
    "ffa": "FF-A, of the host and of the service in the Secure world; `-> Normal` where the service gives the PE away",
    "sip": "the service asks the monitor for a granule, or gives one back",
}


def _names(fields: Iterable[Field]) -> str:
    return ", ".join(f"`{field.name}`" for field in fields)


def _rows(fields: Iterable[Field]) -> Iterator[tuple[str, str, str]]:
    for field in fields:
        yield f"`{field.name}`", field.kind, field.doc


def tables() -> str:
    """The generated part of the page."""
    lines = ["", *_table(("event", "fields", "when"), [(f"`{e.name}`", _names(e.fields), e.doc) for e in OWN])]
    lines += [
        "Each call is an event once it has been answered. Its inputs and outputs are fields too, by the names that"
    ]
    lines += ["[abi.md](abi.md) and [secure-world.md](secure-world.md) have for them:", ""]
    rows = []
    for prefix, names in groupby(sorted(calls()), key=lambda name: name.partition("_")[0]):
        known = [name for name in names if calls()[name].supported]
        rows.append((f"`{prefix}_*`", _CALLS[prefix], ", ".join(f"`{name}`" for name in known)))
    lines += _table(("events", "what", "names"), rows)
    lines += ["Calls of later revisions, which are refused, are events by their names, too.", ""]
    lines += ["Fields of every event:", "", *_table(("field", "kind", "what"), list(_rows(COMMON)))]
    lines += ["Fields of calls:", "", *_table(("field", "kind", "what"), list(_rows(OF_CALLS)))]
    own = {field.name: field for event in OWN for field in event.fields if field.name not in ("old", "new")}
    lines += ["Fields of the others:", "", *_table(("field", "kind", "what"), list(_rows(own.values())))]
    return "\n".join(lines)


def renewed(page: str) -> str:
    """The page with its tables as the declarations have them now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{tables()}{END}{after}"


if __name__ == "__main__":
    PATH.write_text(renewed(PATH.read_text(encoding="utf-8")), encoding="utf-8")
