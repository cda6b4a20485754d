# SPDX-License-Identifier: GPL-2.0-or-later
"""A processing element: its power state, and which world's code it runs."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from bridge.plugin import lib

if TYPE_CHECKING:
    from bridge.core import Core
    from rmm.frame import Frame


class Mode(Enum):
    """What a PE runs when it is its turn."""

    OFF = "off"
    NORMAL = "normal world"
    REC = "realm"
    SECURE = "secure world"


class Pe:
    """One PE.  mpidr: the affinity fields of MPIDR_EL1.  core: its context in the Normal world, made at power-up.

    entry: the REC_ENTER in progress while a REC runs here.  waiting: in WFI, or suspended, until an interrupt or
    the instruction count wake_at, when a timer of what runs here changes.  kicked: the host wants
    the REC that runs here to leave, as a physical interrupt would make it.  waiter: the context that waits.
    """

    __slots__ = ("core", "entry", "index", "kicked", "mode", "mpidr", "resume_at", "waiter", "waiting", "wake_at")

    def __init__(self, index: int, mpidr: int) -> None:
        self.index = index
        self.mpidr = mpidr
        self.mode = Mode.OFF
        self.core: Core | None = None
        self.entry: Frame | None = None
        self.waiting = self.kicked = False
        self.waiter: Core | None = None
        self.wake_at = 0
        # PSCI CPU_SUSPEND to power-down: (entry point, context id) for the wake-up
        self.resume_at: tuple[int, int] | None = None

    @property
    def on(self) -> bool:
        return self.mode is not Mode.OFF

    def wakes(self, now: int) -> bool:
        """While it waits: whether what it waits for is there, an interrupt or the edge of a timer."""
        assert self.waiter is not None
        return self.wake_at <= now or bool(lib.cca_irq_lines(self.waiter.handle))

    @property
    def normal(self) -> Core:
        """The Normal world's context; only of a PE that was on."""
        assert self.core is not None
        return self.core
