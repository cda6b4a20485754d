# SPDX-License-Identifier: GPL-2.0-or-later
"""Who watches the RMM."""

from __future__ import annotations

from typing import Protocol

from rmm.abi.call import Call


class Observer(Protocol):
    def call(self, decl: Call | None, args: tuple[int, ...], result: tuple[int, ...], condition: str | None, rec_pa: int | None) -> None: ...
    def rec_enter(self, rec_pa: int) -> None: ...
    def rec_exit(self, rec_pa: int, reason: str) -> None: ...
    def granule(self, pa: int, old: int, new: int) -> None: ...
