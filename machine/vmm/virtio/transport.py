# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-mmio, version 2 (VIRTIO 1.2 §4.2), and what every device behind it shares.

The device reaches nothing but memory that the realm shares, so that ACCESS_PLATFORM is a must: a driver that does not
accept it never gets FEATURES_OK.  Whatever a driver does wrong ends in DEVICE_NEEDS_RESET and one event of the trace.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from machine.vmm.ports import Clock, GuestFault, GuestMemory, Line, Trace, untraced, unwired

from .queue import Queue, QueueError

MAGIC_VALUE: Final = 0x000
VERSION: Final = 0x004
DEVICE_ID: Final = 0x008
VENDOR_ID: Final = 0x00C
DEVICE_FEATURES: Final = 0x010
DEVICE_FEATURES_SEL: Final = 0x014
DRIVER_FEATURES: Final = 0x020
DRIVER_FEATURES_SEL: Final = 0x024
QUEUE_SEL: Final = 0x030
QUEUE_SIZE_MAX: Final = 0x034
QUEUE_SIZE: Final = 0x038
QUEUE_READY: Final = 0x044
QUEUE_NOTIFY: Final = 0x050
INTERRUPT_STATUS: Final = 0x060
INTERRUPT_ACK: Final = 0x064
STATUS: Final = 0x070
QUEUE_DESC_LOW: Final = 0x080
QUEUE_DESC_HIGH: Final = 0x084
QUEUE_DRIVER_LOW: Final = 0x090
QUEUE_DRIVER_HIGH: Final = 0x094
QUEUE_DEVICE_LOW: Final = 0x0A0
QUEUE_DEVICE_HIGH: Final = 0x0A4
SHM_LEN_LOW: Final = 0x0B0
SHM_BASE_HIGH: Final = 0x0BC
QUEUE_RESET: Final = 0x0C0
CONFIG_GENERATION: Final = 0x0FC
CONFIG: Final = 0x100

ACKNOWLEDGE: Final = 1
DRIVER: Final = 2
DRIVER_OK: Final = 4
FEATURES_OK: Final = 8
NEEDS_RESET: Final = 64
FAILED: Final = 128
_DRIVERS_BITS: Final = ACKNOWLEDGE | DRIVER | DRIVER_OK | FEATURES_OK | FAILED

USED_BUFFER: Final = 1
CONFIG_CHANGE: Final = 2

F_INDIRECT: Final = 1 << 28
F_EVENT_INDEX: Final = 1 << 29
F_VERSION_1: Final = 1 << 32
F_ACCESS_PLATFORM: Final = 1 << 33
F_RING_RESET: Final = 1 << 40
REQUIRED: Final = F_VERSION_1 | F_ACCESS_PLATFORM
OFFERED: Final = REQUIRED | F_INDIRECT | F_EVENT_INDEX | F_RING_RESET

PATIENCE: Final = 50_000
"""Nanoseconds of virtual time: long for a driver that polls, short for one that waits."""

VENDOR: Final = 0x42414343  # "CCAB"
_U32: Final = 0xFFFF_FFFF
_ADDRESSES: Final = {
    QUEUE_DESC_LOW: ("desc", 0),
    QUEUE_DESC_HIGH: ("desc", 32),
    QUEUE_DRIVER_LOW: ("driver", 0),
    QUEUE_DRIVER_HIGH: ("driver", 32),
    QUEUE_DEVICE_LOW: ("device", 0),
    QUEUE_DEVICE_HIGH: ("device", 32),
}


class VirtioDevice:
    """One kind of device.  name: in the trace.  id: §5.  features: its own bits.  queues: QueueSizeMax of each.

    patient: queues whose driver does not wait for its buffers: their interrupts may come PATIENCE later.

    `serve` does all that can be done on a queue now: requests wait there, or the device has news for the driver.
    """

    name = ""
    id = 0
    features = 0
    queues: tuple[int, ...] = ()
    patient: tuple[int, ...] = ()
    transport: VirtioMmio

    def config(self) -> bytes:
        """The configuration space as it is now."""
        return b""

    def configure(self, offset: int, data: bytes) -> None:
        """The driver writes to the configuration space."""

    def serve(self, index: int, queue: Queue) -> None:
        raise NotImplementedError

    def reset(self) -> None:
        """The driver starts afresh: what was under way is forgotten."""

    def poll(self) -> None:
        """The one place where the outside world is looked at; the run loop calls it between slices."""

    def close(self) -> None:
        """Gives back what the host lent."""

    def accepted(self, feature: int) -> bool:
        return bool(self.transport.accepted & feature)

    def say(self, text: str) -> None:
        self.transport.trace("virtio", f"{self.name}: {text}")


class VirtioMmio:
    """The registers of one device, in one 4K page.  clock: lets interrupts of patient queues wait."""

    size = 4096

    def __init__(
        self,
        device: VirtioDevice,
        memory: GuestMemory,
        line: Line = unwired,
        trace: Trace = untraced,
        clock: Clock | None = None,
    ) -> None:
        self.device = device
        self._clock = clock
        self._waiting: set[int] = set()
        self.trace = trace
        self._line = line
        self._offered = OFFERED | device.features
        self._queues = [Queue(memory, maximum) for maximum in device.queues]
        self._pending = 0
        self._generation = 0
        self._clear()
        device.transport = self

    def _clear(self) -> None:
        self.status = 0
        self.accepted = 0
        self._device_select = self._driver_select = self._queue_select = 0

    def reset(self) -> None:
        """As at power-on."""
        self._clear()
        for queue in self._queues:
            queue.reset()
        self.device.reset()
        self._lower(_U32)

    # What devices call

    def serve(self, index: int) -> None:
        """Lets the device work on a queue, if the driver is ready for that."""
        queue = self._queues[index]
        if not queue.ready or self.status & (DRIVER_OK | NEEDS_RESET) != DRIVER_OK:
            return
        try:
            self.device.serve(index, queue)
            if queue.publish():
                if self._clock is None or index not in self.device.patient:
                    if queue.interrupts():
                        self._raise(USED_BUFFER)
                elif index not in self._waiting:
                    self._waiting.add(index)
                    self._clock.after(PATIENCE, partial(self._late, index))
        except (QueueError, GuestFault) as error:
            self._fail(f"queue {index}: {error}")

    def _late(self, index: int) -> None:
        """Drivers that poll for their buffers have seen them by now, and moved used_event."""
        self._waiting.discard(index)
        queue = self._queues[index]
        if queue.ready and self.status & (DRIVER_OK | NEEDS_RESET) == DRIVER_OK:
            try:
                if queue.interrupts(later=True):
                    self._raise(USED_BUFFER)
            except GuestFault as error:
                self._fail(f"queue {index}: {error}")

    def config_changed(self) -> None:
        """The device's configuration is another one than before (§4.2.2.1)."""
        self._generation = self._generation + 1 & _U32
        if self.status & DRIVER_OK:
            self._raise(CONFIG_CHANGE)

    def _fail(self, why: str) -> None:
        self.status |= NEEDS_RESET
        self.trace("virtio", f"{self.device.name}: {why}: DEVICE_NEEDS_RESET")
        if self.status & DRIVER_OK:
            self._raise(CONFIG_CHANGE)

    def _raise(self, bit: int) -> None:
        if not self._pending:
            self._line(True)
        self._pending |= bit

    def _lower(self, bits: int) -> None:
        before, self._pending = self._pending, self._pending & ~bits
        if before and not self._pending:
            self._line(False)

    # The registers

    def read(self, offset: int, size: int) -> int:
        if offset >= CONFIG:
            at = offset - CONFIG
            return int.from_bytes(self.device.config()[at : at + size], "little")
        if offset == INTERRUPT_STATUS:
            return self._pending
        if size != 4 or offset & 3:
            return 0
        if offset == MAGIC_VALUE:
            return 0x74726976
        if offset == VERSION:
            return 2
        if offset == DEVICE_ID:
            return self.device.id
        if offset == VENDOR_ID:
            return VENDOR
        if offset == DEVICE_FEATURES:
            return self._offered >> 32 * self._device_select & _U32 if self._device_select < 2 else 0
        if offset == QUEUE_SIZE_MAX:
            queue = self._selected()
            return queue.maximum if queue is not None else 0
        if offset == QUEUE_READY:
            queue = self._selected()
            return int(queue is not None and queue.ready)
        if offset == STATUS:
            return self.status
        if offset == CONFIG_GENERATION:
            return self._generation
        if SHM_LEN_LOW <= offset <= SHM_BASE_HIGH:
            return _U32  # there is no shared memory region (§4.2.2.1)
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        if offset >= CONFIG:
            self.device.configure(offset - CONFIG, value.to_bytes(size, "little"))
            return
        if size != 4 or offset & 3:
            return
        if offset == QUEUE_NOTIFY:
            if value < len(self._queues):
                self.serve(value)
        elif offset == INTERRUPT_ACK:
            self._lower(value)
        elif offset == STATUS:
            self._set_status(value)
        elif offset == DEVICE_FEATURES_SEL:
            self._device_select = value
        elif offset == DRIVER_FEATURES_SEL:
            self._driver_select = value
        elif offset == DRIVER_FEATURES:
            self._accept(value)
        elif offset == QUEUE_SEL:
            self._queue_select = value
        else:
            self._write_queue(offset, value)

    def _selected(self) -> Queue | None:
        return self._queues[self._queue_select] if self._queue_select < len(self._queues) else None

    def _accept(self, value: int) -> None:
        if self.status & (DRIVER | FEATURES_OK) == DRIVER and self._driver_select < 2:
            shift = 32 * self._driver_select
            self.accepted = self.accepted & ~(_U32 << shift) | value << shift

    def _set_status(self, value: int) -> None:
        if not value & 0xFF:
            self.reset()
            return
        new = value & _DRIVERS_BITS & ~self.status
        if new & FEATURES_OK and not self._acceptable():
            new &= ~FEATURES_OK
        if new & DRIVER_OK and not (self.status | new) & FEATURES_OK:
            new &= ~DRIVER_OK
            self._fail("DRIVER_OK before FEATURES_OK")
        self.status |= new
        if new & DRIVER_OK:
            for index in range(len(self._queues)):
                self.serve(index)

    def _acceptable(self) -> bool:
        missing = REQUIRED & ~self.accepted
        if missing & F_VERSION_1:
            self.trace("virtio", f"{self.device.name}: the driver does not accept VIRTIO_F_VERSION_1")
        elif missing:
            self.trace(
                "virtio",
                f"{self.device.name}: the driver does not accept VIRTIO_F_ACCESS_PLATFORM: "
                "a realm's buffers are shared through the DMA API only",
            )
        elif unknown := self.accepted & ~self._offered:
            self.trace("virtio", f"{self.device.name}: the driver accepts features that are not offered: {unknown:#x}")
            return False
        return not missing

    def _write_queue(self, offset: int, value: int) -> None:
        queue = self._selected()
        if queue is None:
            return
        if offset == QUEUE_READY:
            self._enable(queue, value)
        elif offset == QUEUE_RESET:
            if value & 1 and self.accepted & F_RING_RESET:
                queue.reset()
        elif queue.ready:
            return
        elif offset == QUEUE_SIZE:
            queue.size = value
        elif (address := _ADDRESSES.get(offset)) is not None:
            name, shift = address
            setattr(queue, name, getattr(queue, name) & ~(_U32 << shift) | value << shift)

    def _enable(self, queue: Queue, value: int) -> None:
        if not value & 1:
            queue.stop()
        elif not queue.ready:
            if not self.status & FEATURES_OK:
                self._fail("QueueReady before FEATURES_OK")
                return
            queue.indirect = bool(self.accepted & F_INDIRECT)
            queue.event_index = bool(self.accepted & F_EVENT_INDEX)
            try:
                queue.start()
            except QueueError as error:
                self._fail(str(error))
