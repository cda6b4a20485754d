# SPDX-License-Identifier: GPL-2.0-or-later
"""NOR flash with the Intel/Sharp extended command set (JEP137 0x0001, JESD68.01), as two 16-bit chips side by side.

Each bus word of 32 bits holds a word of either chip, and commands go to both.  Programming and erasing take no time.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Final

BLOCK: Final = 256 << 10
"""Bytes that one erase covers: 128 KiB of either chip."""

BUFFER: Final = 128
"""Bytes of the write buffer: 64 of either chip."""


class Command(IntEnum):
    """First bus cycle."""

    PROGRAM_ALT = 0x10
    ERASE = 0x20
    PROGRAM = 0x40
    CLEAR_STATUS = 0x50
    LOCK = 0x60
    READ_STATUS = 0x70
    READ_ID = 0x90
    READ_QUERY = 0x98
    SUSPEND = 0xB0
    CONFIRM = 0xD0
    WRITE_BUFFER = 0xE8
    READ_ARRAY = 0xFF


SR_READY: Final = 1 << 7
SR_ERASE: Final = 1 << 5
SR_PROGRAM: Final = 1 << 4
SR_LOCKED: Final = 1 << 1
SR_SEQUENCE: Final = SR_ERASE | SR_PROGRAM

_LOCK_SET: Final = 0x01
_MANUFACTURER: Final = 0x89
_DEVICE: Final = 0x18


class Flash:
    """One bank of `size` bytes, a multiple of BLOCK.  Content, and nothing else, is kept over a reset."""

    def __init__(self, size: int, content: bytes = b"") -> None:
        self.size = size
        # Erased blocks are not stored.
        self._blocks: dict[int, bytearray] = {}
        for at in range(0, len(content), BLOCK):
            self._blocks[at // BLOCK] = bytearray(content[at : at + BLOCK].ljust(BLOCK, b"\xff"))
        self._query = _query(size // 2)
        self._locked: set[int] = set()
        self.reset()

    def reset(self) -> None:
        self._reading = Command.READ_ARRAY
        self._pending: Command | None = None
        self._status = SR_READY
        # Of a buffered write: (offset, size, value) so far, and how many are still to come (None: not yet said).
        self._buffer: list[tuple[int, int, int]] = []
        self._left: int | None = None

    def content(self) -> Iterator[bytes]:
        """All of it, block by block."""
        erased = b"\xff" * BLOCK
        for index in range(self.size // BLOCK):
            block = self._blocks.get(index)
            yield erased if block is None else bytes(block)

    def read(self, offset: int, size: int) -> int:
        if self._reading is Command.READ_ARRAY:
            block = self._blocks.get(offset // BLOCK)
            at = offset % BLOCK
            return (1 << 8 * size) - 1 if block is None else int.from_bytes(block[at : at + size], "little")
        value = 0
        for at in range(offset & ~3, offset + size, 4):
            word = self._word(at)
            value |= (word | word << 16) << (at - (offset & ~3)) * 8
        return value >> (offset & 3) * 8 & ((1 << 8 * size) - 1)

    def _word(self, offset: int) -> int:
        """What one chip answers outside of read-array mode."""
        if self._reading is Command.READ_STATUS:
            return self._status
        index = offset % BLOCK >> 2
        if self._reading is Command.READ_ID:
            return (_MANUFACTURER, _DEVICE, int(offset // BLOCK in self._locked))[index] if index < 3 else 0
        return self._query[index - 0x10] if 0 <= index - 0x10 < len(self._query) else 0

    def write(self, offset: int, size: int, value: int) -> None:
        pending = self._pending
        if pending is None:
            self._begin(value & 0xFF)
        elif pending is Command.WRITE_BUFFER:
            self._buffered(offset, size, value)
        else:
            self._pending = None
            self._finish(pending, offset, size, value)

    def _begin(self, code: int) -> None:
        """The first cycle of a command; what is none ends in read-array mode."""
        try:
            command = Command(code)
        except ValueError:
            command = Command.READ_ARRAY
        if command is Command.CLEAR_STATUS:
            self._status = SR_READY
        elif command in (Command.READ_ARRAY, Command.READ_STATUS, Command.READ_ID, Command.READ_QUERY):
            self._reading = command
        else:
            self._reading = Command.READ_STATUS
            if command in (Command.CONFIRM, Command.SUSPEND):
                return
            self._pending = command
            self._buffer = []
            self._left = None

    def _finish(self, command: Command, offset: int, size: int, value: int) -> None:
        """The second cycle."""
        block, code = offset // BLOCK, value & 0xFF
        if command in (Command.PROGRAM, Command.PROGRAM_ALT):
            self._program([(offset, size, value)])
        elif command is Command.LOCK and code == _LOCK_SET:
            self._locked.add(block)
        elif command is Command.LOCK and code == Command.CONFIRM:
            self._locked.discard(block)
        elif command is Command.ERASE and code == Command.CONFIRM:
            if block in self._locked:
                self._status |= SR_ERASE | SR_LOCKED
            else:
                self._blocks.pop(block, None)
        else:
            self._status |= SR_SEQUENCE

    def _buffered(self, offset: int, size: int, value: int) -> None:
        """A count of bus words less 1, the words, and the confirmation."""
        if self._left is None:
            self._left = (value & 0xFFFF) + 1
            if self._left * 4 <= BUFFER:
                return
        elif self._left:
            self._left -= 1
            self._buffer.append((offset, size, value))
            return
        elif value & 0xFF == Command.CONFIRM:
            self._pending = None
            self._program(self._buffer)
            return
        self._pending = None
        self._status |= SR_SEQUENCE

    def _program(self, writes: list[tuple[int, int, int]]) -> None:
        """Programming clears bits; all of it or, when a block is locked, nothing."""
        if any(offset // BLOCK in self._locked for offset, _, _ in writes):
            self._status |= SR_PROGRAM | SR_LOCKED
            return
        for offset, size, value in writes:
            block = self._blocks.setdefault(offset // BLOCK, bytearray(b"\xff" * BLOCK))
            at = offset % BLOCK
            end = min(at + size, BLOCK)
            old = int.from_bytes(block[at:end], "little")
            block[at:end] = (old & value).to_bytes(end - at, "little")


def _query(chip: int) -> bytes:
    """The CFI table of one chip of `chip` bytes, from word 0x10 on (JESD68.01, section 4)."""
    blocks = chip // (BLOCK // 2) - 1
    table = b"QRY"
    # Primary command set, its table; no alternate set.
    table += (0x0001).to_bytes(2, "little") + (0x0031).to_bytes(2, "little") + bytes(4)
    # Supply 4.5 to 5.5 V, no programming supply.
    table += bytes((0x45, 0x55, 0, 0))
    # Typical times as powers of 2: word and buffer in us, block erase in ms, no chip erase; factors to the longest.
    table += bytes((7, 7, 10, 0, 4, 4, 4, 0))
    # Size and buffer as powers of 2 with the interface (x8/x16) between.
    table += bytes((chip.bit_length() - 1,)) + (0x0002).to_bytes(2, "little")
    table += (BUFFER // 2 - 1).bit_length().to_bytes(2, "little")
    # One region of equal blocks, their size in units of 256 bytes.
    table += bytes((1,)) + blocks.to_bytes(2, "little") + (BLOCK // 2 // 256).to_bytes(2, "little")
    # The primary table, version 1.0: no optional features, no protection fields.
    return table.ljust(0x21, b"\0") + b"PRI10" + bytes(11)
