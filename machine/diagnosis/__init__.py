# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a run went wrong, in one line: from the machine's state and the last calls, never from what was run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from machine.end import End
    from machine.machine import Machine
    from rmm.rec import Rec


class Diagnosis(NamedTuple):
    """name: as the table has it.  text: the rest of the line."""

    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


def diagnose(machine: Machine, end: End) -> Diagnosis | None:
    """The first of the table's that fits; None where none does, as of a run that ended well."""
    from machine.diagnosis.case import Case
    from machine.diagnosis.table import TABLE
    from machine.end import GUEST_EXIT

    if end.kind == GUEST_EXIT and end.code == 0:
        return None
    case = Case(machine, end)
    for entry in TABLE:
        found = entry.find(case)
        if found is not None:
            return Diagnosis(entry.name, entry.text.format(**found))
        for name, text, entries in machine.evidence.last_words:
            if name == entry.name and (case.hangs or entries == machine.calls.entries):
                return Diagnosis(name, text)
    return None


def of_rec(machine: Machine, rec: Rec) -> list[tuple[str, str]]:
    """What is to be said of a REC that is about to be destroyed: (name, text)."""
    from machine.diagnosis.case import Case
    from machine.diagnosis.table import TABLE

    case = Case(machine, None, [rec])
    found = ((entry, entry.find(case)) for entry in TABLE if entry.about_recs)
    return [(entry.name, entry.text.format(**fields)) for entry, fields in found if fields is not None]
