# SPDX-License-Identifier: GPL-2.0-or-later
"""What the devices of the VMM see of the machine: the guest's shared memory, lines, time, the trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Line = Callable[[bool], None]
"""The level of one interrupt line.  A device calls it when the level changes, and only then."""

Trace = Callable[[str, str], None]
"""Takes an event: its name (lower case, `_`) and its text."""


class GuestFault(Exception):
    """A device reached for guest memory that the guest did not share.  ipa: the address; why: in a few words."""

    def __init__(self, ipa: int, why: str) -> None:
        super().__init__(f"IPA {ipa:#x} is {why}")
        self.ipa = ipa
        self.why = why


class GuestMemory(Protocol):
    """The guest's memory as a device reaches it (DMA): unprotected IPAs that are mapped, nothing else.

    ipa, ipa + size: below 2^64, otherwise anything.  GuestFault, with nothing written, when one byte is not shared.
    """

    def read(self, ipa: int, size: int) -> bytes: ...

    def write(self, ipa: int, data: bytes) -> None: ...


class Alarm(Protocol):
    """Something that a clock will do."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Virtual time."""

    @property
    def ns(self) -> int:
        """Nanoseconds since power-on."""
        ...

    def after(self, ns: int, action: Callable[[], None]) -> Alarm:
        """Runs `action` once when `ns` nanoseconds have passed."""
        ...


def unwired(_level: bool) -> None:
    """The line of a device whose interrupt goes nowhere."""


def untraced(_name: str, _text: str) -> None:
    """The trace of a machine that nobody traces."""
