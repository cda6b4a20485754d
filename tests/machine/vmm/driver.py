# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtio driver for tests: negotiates, lays out split virtqueues in shared memory, moves requests through them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from machine.vmm.ports import Alarm, Clock, GuestFault
from machine.vmm.virtio import VirtioDevice, VirtioMmio

SHARED = 0x1_8000_0000
"""The first shared IPA; everything below is protected."""


class Ram:
    """Shared guest memory; every other IPA is protected."""

    def __init__(self, size: int = 1 << 20) -> None:
        self.data = bytearray(size)
        self.accesses = 0

    def _at(self, ipa: int, size: int) -> int:
        at = ipa - SHARED
        if at < 0 or at + size > len(self.data):
            raise GuestFault(ipa, "protected")
        self.accesses += 1
        return at

    def read(self, ipa: int, size: int) -> bytes:
        at = self._at(ipa, size)
        return bytes(self.data[at : at + size])

    def write(self, ipa: int, data: bytes) -> None:
        at = self._at(ipa, len(data))
        self.data[at : at + len(data)] = data


class Time:
    """A clock that a test turns by hand."""

    def __init__(self) -> None:
        self.ns = 0
        self._alarms: list[tuple[int, Callable[[], None]]] = []

    def after(self, ns: int, action: Callable[[], None]) -> Alarm:
        self._alarms.append((self.ns + ns, action))
        return self

    def cancel(self) -> None:
        raise AssertionError("nobody cancels")

    def turn(self, ns: int) -> int:
        """Lets time pass; returns how many alarms that set off."""
        self.ns += ns
        due = [action for at, action in self._alarms if at <= self.ns]
        self._alarms = [(at, action) for at, action in self._alarms if at > self.ns]
        for action in due:
            action()
        return len(due)


class DriverQueue:
    """The driver's half of a split virtqueue (VIRTIO 1.2 §2.7)."""

    def __init__(self, driver: Driver, index: int, size: int) -> None:
        self.driver, self.index, self.size = driver, index, size
        self.desc = driver.allocate(16 * size, 16)
        self.avail = driver.allocate(6 + 2 * size, 2)
        self.used = driver.allocate(6 + 8 * size, 4)
        self.free = list(range(size))
        self.added = 0
        self.seen = 0
        self.heads: dict[int, tuple[list[int], list[tuple[int, int]]]] = {}

    def add(self, send: Sequence[bytes] = (), receive: Sequence[int] = (), *, indirect: bool = False) -> int:
        """Makes one request available; returns its head."""
        driver, ram = self.driver, self.driver.ram
        buffers = []
        for data in send:
            ipa = driver.allocate(max(len(data), 1))
            ram.write(ipa, data)
            buffers.append((ipa, len(data), 0))
        room = [(driver.allocate(max(size, 1)), size) for size in receive]
        buffers += [(ipa, size, 2) for ipa, size in room]
        if indirect:
            table = driver.allocate(16 * len(buffers), 16)
            for at, (ipa, size, flags) in enumerate(buffers):
                more = at + 1 < len(buffers)
                ram.write(table + 16 * at, struct.pack("<QIHH", ipa, size, flags | more, at + 1 if more else 0))
            buffers = [(table, 16 * len(buffers), 4)]
        used = [self.free.pop(0) for _ in buffers]
        for at, (ipa, size, flags) in enumerate(buffers):
            more = at + 1 < len(buffers)
            entry = struct.pack("<QIHH", ipa, size, flags | more, used[at + 1] if more else 0)
            ram.write(self.desc + 16 * used[at], entry)
        self.heads[used[0]] = used, room
        self.offer(used[0])
        return used[0]

    def offer(self, head: int) -> None:
        ram = self.driver.ram
        ram.write(self.avail + 4 + 2 * (self.added % self.size), struct.pack("<H", head))
        self.added = self.added + 1 & 0xFFFF
        ram.write(self.avail + 2, struct.pack("<H", self.added))

    def kick(self) -> None:
        self.driver.w(0x050, self.index)

    def used_index(self) -> int:
        return int.from_bytes(self.driver.ram.read(self.used + 2, 2), "little")

    def avail_event(self) -> int:
        return int.from_bytes(self.driver.ram.read(self.used + 4 + 8 * self.size, 2), "little")

    def used_flags(self) -> int:
        return int.from_bytes(self.driver.ram.read(self.used, 2), "little")

    def set_used_event(self, value: int) -> None:
        self.driver.ram.write(self.avail + 4 + 2 * self.size, struct.pack("<H", value))

    def reap(self) -> list[tuple[int, int, bytes]]:
        """Requests that came back: head, bytes written, all of the device-writable bytes."""
        ram, back = self.driver.ram, []
        while self.seen != self.used_index():
            head, written = struct.unpack("<II", ram.read(self.used + 4 + 8 * (self.seen % self.size), 8))
            self.seen = self.seen + 1 & 0xFFFF
            used, room = self.heads.pop(head)
            self.free += used
            back.append((head, written, b"".join(ram.read(ipa, size) for ipa, size in room)))
        self.set_used_event(self.seen)
        return back

    def call(self, send: Sequence[bytes] = (), receive: Sequence[int] = (), *, indirect: bool = False) -> bytes:
        """One request, there and back: the bytes that the device wrote."""
        head = self.add(send, receive, indirect=indirect)
        self.kick()
        ((back, written, data),) = self.reap()
        assert back == head
        return data[:written]


class Driver:
    """Registers, features and queues of one device."""

    WANTED = (1 << 32) | (1 << 33) | (1 << 28) | (1 << 29)

    def __init__(self, device: VirtioDevice, ram: Ram | None = None, clock: Clock | None = None) -> None:
        self.ram = ram or Ram()
        self.level = False
        self.edges = 0
        self.events: list[str] = []
        self._next = SHARED
        self.mmio = VirtioMmio(
            device, self.ram, self._line, lambda name, text: self.events.append(f"{name}: {text}"), clock
        )
        self.queues: list[DriverQueue] = []

    def _line(self, level: bool) -> None:
        assert level != self.level, "lines are called on changes only"
        self.level = level
        self.edges += level

    def allocate(self, size: int, align: int = 1) -> int:
        """Bump allocation of shared memory: tests are short.  Wraps around in the upper half for long ones."""
        self._next = -(-self._next // align) * align
        ipa = self._next
        self._next += size
        if self._next > SHARED + len(self.ram.data):
            self._next = ipa = SHARED + len(self.ram.data) // 2
            self._next += size
        return ipa

    def r(self, offset: int, size: int = 4) -> int:
        return self.mmio.read(offset, size)

    def w(self, offset: int, value: int, size: int = 4) -> None:
        self.mmio.write(offset, size, value)

    def features(self) -> int:
        value = 0
        for select in (0, 1):
            self.w(0x014, select)
            value |= self.r(0x010) << 32 * select
        return value

    def negotiate(self, features: int) -> bool:
        self.w(0x070, 0)
        self.w(0x070, 1)
        self.w(0x070, 3)
        for select in (0, 1):
            self.w(0x024, select)
            self.w(0x020, features >> 32 * select & 0xFFFF_FFFF)
        self.w(0x070, 3 | 8)
        return bool(self.r(0x070) & 8)

    def set_up(self, index: int, size: int) -> DriverQueue:
        queue = DriverQueue(self, index, size)
        self.place(index, size, queue.desc, queue.avail, queue.used)
        return queue

    def place(self, index: int, size: int, desc: int, avail: int, used: int) -> None:
        self.w(0x030, index)
        self.w(0x038, size)
        for offset, ipa in ((0x080, desc), (0x090, avail), (0x0A0, used)):
            self.w(offset, ipa & 0xFFFF_FFFF)
            self.w(offset + 4, ipa >> 32)
        self.w(0x044, 1)

    def start(self, features: int | None = None, size: int = 16) -> None:
        """All that a driver does up to DRIVER_OK (§3.1.1).  features: of the device, beside the transport's."""
        self.ram.data[:] = bytes(len(self.ram.data))
        self._next = SHARED
        offered = self.features()
        assert self.negotiate(self.WANTED & offered | (offered & 0xFF_FFFF if features is None else features))
        count = 0
        while True:
            self.w(0x030, count)
            if not self.r(0x034):
                break
            count += 1
        self.queues = [self.set_up(index, size) for index in range(count)]
        self.w(0x070, 3 | 8 | 4)

    def ack(self) -> int:
        bits = self.r(0x060)
        self.w(0x064, bits)
        return bits

    @property
    def broken(self) -> bool:
        return bool(self.r(0x070) & 64)

    def config(self, size: int) -> bytes:
        return bytes(self.r(0x100 + at, 1) for at in range(size))
