# SPDX-License-Identifier: GPL-2.0-or-later
"""The shape of a memory-mapped device."""

from __future__ import annotations

from typing import Protocol


class Device(Protocol):
    """A device that occupies `size` bytes (whole 4K pages) of the physical address map.

    offset: bytes from its base, below `size`; the machine never lets an access cross the end.
    size: 1, 2, 4 or 8 bytes.  value: unsigned, below 2^(8 * size).
    """

    @property
    def size(self) -> int: ...

    def read(self, offset: int, size: int) -> int: ...

    def write(self, offset: int, size: int, value: int) -> None: ...

    def interrupt(self) -> bool:
        """Whether the device asserts its interrupt line now."""
        ...
