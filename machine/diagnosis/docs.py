# SPDX-License-Identifier: GPL-2.0-or-later
"""The table on `docs/diagnoses.md`, from the declarations; `python -m machine.diagnosis.docs` renews it."""

from __future__ import annotations

import re
from pathlib import Path

from machine.diagnosis.table import TABLE

PATH = Path(__file__).resolve().parents[2] / "docs" / "diagnoses.md"
_MARK = re.compile(r"(<!-- diagnoses -->\n).*?(<!-- end -->)", re.DOTALL)


def table() -> str:
    """A row for each diagnosis."""
    rows = (f"| `{one.name}` | {one.looks_at} | {one.text} |" for one in TABLE)
    return "\n".join(("| name | looks at | says |", "|---|---|---|", *rows)) + "\n"


def renewed(page: str) -> str:
    """The page with the table as the declarations have it now."""
    return _MARK.sub(lambda match: f"{match[1]}\n{table()}\n{match[2]}", page)


if __name__ == "__main__":
    PATH.write_text(renewed(PATH.read_text(encoding="utf-8")), encoding="utf-8")
