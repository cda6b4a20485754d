# SPDX-License-Identifier: GPL-2.0-or-later
"""Block device (VIRTIO 1.2 §5.2).  A request ends before the notification that brought it."""

from __future__ import annotations

import struct
from typing import Final

from .disk import SECTOR, Disk
from .queue import Chain, Queue, QueueError
from .transport import VirtioDevice

F_SIZE_MAX: Final = 1 << 1
F_SEG_MAX: Final = 1 << 2
F_RO: Final = 1 << 5
F_BLK_SIZE: Final = 1 << 6
F_FLUSH: Final = 1 << 9
F_DISCARD: Final = 1 << 13
F_WRITE_ZEROES: Final = 1 << 14

IN: Final = 0
OUT: Final = 1
FLUSH: Final = 4
GET_ID: Final = 8
DISCARD: Final = 11
WRITE_ZEROES: Final = 13

OK: Final = 0
IOERR: Final = 1
UNSUPP: Final = 2

SIZE_MAX: Final = 1 << 18
SEG_MAX: Final = 126
MAX_REQUEST: Final = 8 << 20
"""Bytes of one request, more than Linux asks for."""
MAX_ZERO_SECTORS: Final = 1 << 13
MAX_RANGES: Final = 16

_HEADER: Final = struct.Struct("<IIQ")
_RANGE: Final = struct.Struct("<QII")
_CONFIG: Final = struct.Struct("<QII4xI8xBxHIIIIIB3x")


class Block(VirtioDevice):
    """disk: its content.  serial: up to 20 ASCII characters, /sys/block/vdX/serial in Linux."""

    name = "block"
    id = 2
    queues = (128,)

    def __init__(self, disk: Disk, serial: str = "ccabridge") -> None:
        self._disk = disk
        self._serial = serial.encode()[:20].ljust(20, b"\0")
        self.features = F_SIZE_MAX | F_SEG_MAX | F_BLK_SIZE | F_FLUSH
        self.features |= F_DISCARD | F_WRITE_ZEROES if disk.writable else F_RO
        self._config = _CONFIG.pack(
            disk.size // SECTOR,
            SIZE_MAX,
            SEG_MAX,
            SECTOR,
            0,
            1,
            MAX_ZERO_SECTORS,
            MAX_RANGES,
            8,
            MAX_ZERO_SECTORS,
            MAX_RANGES,
            0,
        )

    def config(self) -> bytes:
        return self._config

    def close(self) -> None:
        self._disk.close()

    def serve(self, index: int, queue: Queue) -> None:
        for chain in queue:
            queue.give(chain, self._request(chain))
        queue.want(True)

    def _request(self, chain: Chain) -> int:
        """Returns the bytes written, the status in the last byte among them."""
        room = chain.room
        if not room or chain.length < _HEADER.size:
            raise QueueError(f"a block request of {chain.length} bytes with room for {room}")
        sent = chain.read(MAX_REQUEST + _HEADER.size)
        kind, _, sector = _HEADER.unpack_from(sent)
        status, written = OK, 0
        try:
            if kind == IN:
                data = self._read(sector * SECTOR, room - 1)
                if data is None:
                    status = IOERR
                else:
                    chain.write(data)
                    written = len(data)
            elif kind == OUT:
                status = self._write(sector * SECTOR, sent[_HEADER.size :])
            elif kind == FLUSH:
                self._disk.flush()
            elif kind == GET_ID:
                data = self._serial[: room - 1]
                chain.write(data)
                written = len(data)
            elif kind in (DISCARD, WRITE_ZEROES):
                status = self._zero(kind, sent[_HEADER.size :])
            else:
                status = UNSUPP
        except OSError as error:
            self.say(f"the host cannot do a request at sector {sector:#x}: {error.strerror}")
            status = IOERR
        chain.write(bytes((status,)), room - 1)
        return room if written == room - 1 else written

    def _read(self, at: int, size: int) -> bytes | None:
        if size % SECTOR or size > MAX_REQUEST or at + size > self._disk.size:
            return None
        return self._disk.read(at, size) if size else b""

    def _write(self, at: int, data: bytes) -> int:
        if len(data) % SECTOR or at + len(data) > self._disk.size or not self._disk.writable:
            return IOERR
        self._disk.write(at, data)
        return OK

    def _zero(self, kind: int, ranges: bytes) -> int:
        """§5.2.6.2: all ranges are checked before the first one changes."""
        count = len(ranges) // _RANGE.size
        if not self._disk.writable:
            return UNSUPP
        if not count or len(ranges) % _RANGE.size or count > MAX_RANGES:
            return IOERR
        parts = list(_RANGE.iter_unpack(ranges))
        for sector, sectors, flags in parts:
            if flags & ~1 or (kind == DISCARD and flags):
                return UNSUPP
            if sectors > MAX_ZERO_SECTORS or (sector + sectors) * SECTOR > self._disk.size:
                return IOERR
        for sector, sectors, _ in parts:
            self._disk.zero(sector * SECTOR, sectors * SECTOR)
        return OK
