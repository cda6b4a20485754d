# SPDX-License-Identifier: GPL-2.0-or-later
"""Whoever wants to know what the RMM does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rmm.abi.call import Call


class Observer(Protocol):
    """Told of each call after it has been answered, of REC runs, and of granules that change hands."""

    def call(
        self,
        decl: Call | None,
        args: tuple[int, ...],
        result: tuple[int, ...],
        condition: str | None,
        rec_pa: int | None,
    ) -> None:
        """One RMI (rec_pa None), RSI or PSCI call.

        args: the declared inputs, word by word, signed where declared so.  For a function id that nothing declares,
        decl is None and args is that id and X1..X3.  result: X0 upwards; empty when the call is not completed
        but makes the REC exit.  condition: the name of the condition that failed, or None.
        """
        ...

    def rec_enter(self, rec_pa: int) -> None:
        """A REC is about to run on behalf of REC_ENTER."""
        ...

    def rec_exit(self, rec_pa: int, reason: str) -> None:
        """A REC exits to the host; reason: the name in RmiRecExitReason."""
        ...

    def granule(self, pa: int, old: int, new: int) -> None:
        """A granule's state changes (rmm.abi.values.GranuleState)."""
        ...
