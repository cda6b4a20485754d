# SPDX-License-Identifier: GPL-2.0-or-later
"""Split virtqueues, the device's side (VIRTIO 1.2 §2.7).  Every byte of a queue is the driver's, thus hostile.

The guest does not run while a device does, so that one read of the available ring serves a whole pass.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from machine.vmm.ports import GuestMemory

MAX_SIZE: Final = 1024
"""Descriptors in the longest queue that a device here offers, and in the longest indirect table."""

DESC_NEXT: Final = 1
DESC_WRITE: Final = 2
DESC_INDIRECT: Final = 4
NO_INTERRUPT: Final = 1  # available ring, flags
NO_NOTIFY: Final = 1  # used ring, flags

_DESC: Final = struct.Struct("<QIHH")
_USED: Final = struct.Struct("<II")
_U16: Final = struct.Struct("<H")
_HEADER: Final = struct.Struct("<HH")
_TOP: Final = 1 << 64


class QueueError(Exception):
    """The driver broke the rules of virtqueues; the device needs a reset.  `str()` says which rule."""


class Chain:
    """One request: the buffers that the device reads, and the ones that it fills, as (IPA, bytes)."""

    __slots__ = ("_memory", "head", "readable", "writable", "written")

    def __init__(
        self, memory: GuestMemory, head: int, readable: list[tuple[int, int]], writable: list[tuple[int, int]]
    ) -> None:
        self._memory = memory
        self.head = head
        self.readable = readable
        self.writable = writable
        self.written = 0

    @property
    def room(self) -> int:
        """Bytes that the device may write in all."""
        return sum(size for _, size in self.writable)

    @property
    def length(self) -> int:
        """Bytes that the device may read in all."""
        return sum(size for _, size in self.readable)

    def read(self, limit: int) -> bytes:
        """All that the driver sent; QueueError when that is more than `limit` bytes."""
        readable = self.readable
        if len(readable) == 1:
            ipa, size = readable[0]
            if size <= limit:
                return self._memory.read(ipa, size) if size else b""
        if self.length > limit:
            raise QueueError(f"a request of {self.length} bytes, where {limit} is the most")
        read = self._memory.read
        return b"".join([read(ipa, size) for ipa, size in readable if size])

    def write(self, data: bytes, at: int = 0) -> None:
        """Puts `data` into the device-writable bytes from offset `at` on; what finds no room is dropped."""
        position = 0
        for ipa, size in self.writable:
            if at >= size:
                at -= size
                continue
            part = data[position : position + size - at]
            if not part:
                return
            self._memory.write(ipa + at, part)
            position += len(part)
            at = 0


class Queue:
    """One split virtqueue.  maximum: QueueSizeMax, a power of 2.

    take: the next request.  give: its buffers go back with the number of bytes written.  `publish` tells the driver
    of what was given, `interrupts` whether that needs an interrupt.
    """

    def __init__(self, memory: GuestMemory, maximum: int) -> None:
        self._memory = memory
        self.maximum = maximum
        self.reset()

    def reset(self) -> None:
        self.size = 0
        self.desc = 0
        self.driver = 0
        self.device = 0
        self.ready = False
        self.indirect = False
        self.event_index = False
        self._taken = 0
        self._limit = 0
        self._used = 0
        self._published = 0
        self._asked = 0
        self._ring = b""
        self._given: list[bytes] = []
        self._wanted: int | None = None

    def start(self) -> None:
        """QueueReady becomes 1; QueueError when the queue cannot be where the driver says."""
        size = self.size
        if not 0 < size <= self.maximum or size & size - 1:
            raise QueueError(f"a queue of {size} descriptors, where a power of 2 up to {self.maximum} is wanted")
        for name, ipa, align, length in (
            ("descriptor table", self.desc, 16, 16 * size),
            ("available ring", self.driver, 2, 6 + 2 * size),
            ("used ring", self.device, 4, 6 + 8 * size),
        ):
            if ipa % align or ipa + length > _TOP:
                raise QueueError(f"a {name} at IPA {ipa:#x}")
        self.ready = True

    def stop(self) -> None:
        """QueueReady becomes 0: the device forgets its place in the rings."""
        size, desc, driver, device = self.size, self.desc, self.driver, self.device
        self.reset()
        self.size, self.desc, self.driver, self.device = size, desc, driver, device

    def look(self) -> int:
        """Reads the available ring; returns how many requests wait.  `take` sees those and no later ones."""
        size = self.size
        self._ring = ring = self._memory.read(self.driver, 6 + 2 * size)
        self._limit = limit = ring[2] | ring[3] << 8
        waiting = limit - self._taken & 0xFFFF
        if waiting > size:
            raise QueueError(f"available index {limit:#x} when {self._taken:#x} were taken from a queue of {size}")
        return waiting

    def __iter__(self) -> Iterator[Chain]:
        """The requests that wait now."""
        if self.look():
            while (chain := self.take()) is not None:
                yield chain

    def take(self) -> Chain | None:
        """The next of the requests that `look` saw."""
        taken = self._taken
        if taken == self._limit:
            return None
        at = 4 + 2 * (taken & self.size - 1)
        ring = self._ring
        head = ring[at] | ring[at + 1] << 8
        chain = self._chain(head)
        self._taken = taken + 1 & 0xFFFF
        return chain

    def untake(self) -> None:
        """Puts back the request that was taken last: there is nothing for it yet."""
        self._taken = self._taken - 1 & 0xFFFF

    def _chain(self, head: int) -> Chain:
        size, base = self.size, self.desc
        read, unpack = self._memory.read, _DESC.unpack
        readable: list[tuple[int, int]] = []
        writable: list[tuple[int, int]] = []
        table: bytes | None = None
        index, left = head, size
        while True:
            if index >= size:
                raise QueueError(f"descriptor {index} of {size}")
            ipa, length, flags, following = (
                unpack(read(base + 16 * index, 16)) if table is None else _DESC.unpack_from(table, 16 * index)
            )
            if flags & DESC_INDIRECT:
                if table is not None or flags & DESC_NEXT or not self.indirect:
                    raise QueueError(f"descriptor {index} may not be indirect")
                if length % 16 or not 0 < length <= 16 * MAX_SIZE or ipa + length > _TOP:
                    raise QueueError(f"an indirect table of {length} bytes at IPA {ipa:#x}")
                table = read(ipa, length)
                index, size = 0, length // 16
                left = size
                continue
            if ipa + length > _TOP:
                raise QueueError(f"a buffer of {length} bytes at IPA {ipa:#x}")
            if flags & DESC_WRITE:
                writable.append((ipa, length))
            elif writable:
                raise QueueError("a device-readable buffer after a device-writable one")
            else:
                readable.append((ipa, length))
            if not flags & DESC_NEXT:
                return Chain(self._memory, head, readable, writable)
            left -= 1
            if left <= 0:
                raise QueueError("a loop of descriptors")
            index = following

    def give(self, chain: Chain, written: int) -> None:
        """The device is done with a request.  written: bytes from the start of its writable part."""
        self._given.append(_USED.pack(chain.head, min(written, 0xFFFF_FFFF)))
        self._used = self._used + 1 & 0xFFFF

    def publish(self) -> bool:
        """Publishes what was given back; returns whether that was anything."""
        given = self._given
        if not given:
            return False
        self._given = []
        size, base = self.size, self.device
        at = self._published & size - 1
        write = self._memory.write
        write(base + 4 + 8 * at, b"".join(given[: size - at]))
        if len(given) > size - at:
            write(base + 4, b"".join(given[size - at :]))
        self._published = self._used
        write(base + 2, _U16.pack(self._used))
        return True

    def interrupts(self, *, later: bool = False) -> bool:
        """Whether the driver wants an interrupt for what was published since it was last asked.

        later: the guest ran since `look`, and may have seen for itself what came back.
        """
        new, old = self._published, self._asked
        if new == old:
            return False
        if later:
            self._ring = self._memory.read(self.driver, 6 + 2 * self.size)
        self._asked = new
        ring = self._ring
        if not self.event_index:
            return not ring[0] & NO_INTERRUPT
        # used_event (§2.7.7.2): an interrupt once the index passes it.
        event = ring[-2] | ring[-1] << 8
        return (new - event - 1) & 0xFFFF < (new - old) & 0xFFFF

    def want(self, more: bool) -> None:
        """Whether the driver shall notify the device of its next request (§2.7.10)."""
        if self.event_index:
            event = self._taken - (not more) & 0xFFFF
            if event != self._wanted:
                self._memory.write(self.device + 4 + 8 * self.size, _U16.pack(event))
                self._wanted = event
        elif self._wanted != int(more):
            self._memory.write(self.device, _U16.pack(0 if more else NO_NOTIFY))
            self._wanted = int(more)
