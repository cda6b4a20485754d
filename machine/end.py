# SPDX-License-Identifier: GPL-2.0-or-later
"""How a run ends: each way has a name and an exit code, and the report says which it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.core import Core

GUEST_EXIT = "guest-exit"
TIMEOUT = "timeout"
INTERRUPTED = "interrupted"
UNHANDLED = "unhandled"
STUCK = "stuck"
MODEL_BUG = "model-bug"

_CODES = {TIMEOUT: 124, INTERRUPTED: 130, UNHANDLED: 3, STUCK: 3, MODEL_BUG: 70}


class Reset(Exception):
    """The machine starts anew: images are loaded again, memory marked `retain` keeps its content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Restored(Exception):
    """The machine's state is another one now: the run goes on from there."""


class End(Exception):
    """The machine has stopped.

    kind: one of the names above.  code: the process's exit code (the guest's own for GUEST_EXIT).
    reason: one line.  core: the context that was running, None where no one was.
    """

    def __init__(self, kind: str, reason: str, *, code: int | None = None, core: Core | None = None) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.code = _CODES[kind] if code is None else code
        self.core = core
