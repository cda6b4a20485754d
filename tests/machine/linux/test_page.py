# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/linux.md says what the declarations say."""

from __future__ import annotations

from machine.vmm.linux import docs


def test_linux_page__tables_are_what_the_declarations_say() -> None:
    stored = docs.PATH.read_text(encoding="utf-8")
    assert stored == docs.renewed(stored), "run make docs"
    assert "| `0x0100_0000` | `0x10000` | 32 | uart: 16550" in stored
