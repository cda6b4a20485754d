# SPDX-License-Identifier: GPL-2.0-or-later
"""Network device (VIRTIO 1.2 §5.1): one pair of queues, no control queue, offloads that cost nothing here."""

from __future__ import annotations

import socket
import struct
from collections import deque
from typing import Final

from machine.vmm.virtio.queue import Queue, QueueError
from machine.vmm.virtio.transport import VirtioDevice

from .gateway import Gateway
from .packets import checksum
from .pcap import Pcap

F_CSUM: Final = 1 << 0
F_GUEST_CSUM: Final = 1 << 1
F_MAC: Final = 1 << 5
F_HOST_TSO4: Final = 1 << 11
F_STATUS: Final = 1 << 16

RECEIVE: Final = 0
TRANSMIT: Final = 1

GUEST_MAC: Final = bytes.fromhex("525400123456")
BACKLOG: Final = 256
"""Frames for the guest after which no more are fetched from the host."""
MAX_BACKLOG: Final = 4096

_HEADER: Final = struct.Struct("<BBHHHHH")
_MAX_FRAME: Final = _HEADER.size + 14 + 0xFFFF
_NEEDS_CSUM: Final = 1
_DATA_VALID: Final = 2
_LINK_UP: Final = 1


class Net(VirtioDevice):
    """gateway: the other end of the link.  pcap: where both directions are captured."""

    name = "net"
    id = 1
    features = F_CSUM | F_GUEST_CSUM | F_MAC | F_HOST_TSO4 | F_STATUS
    queues = (256, 256)
    patient = (TRANSMIT,)

    def __init__(self, gateway: Gateway, pcap: Pcap | None = None, mac: bytes = GUEST_MAC) -> None:
        self._gateway = gateway
        self._pcap = pcap
        self._mac = mac
        self._frames: deque[bytes] = deque()
        gateway.attach(self._to_guest)

    def config(self) -> bytes:
        return self._mac + struct.pack("<HHH", _LINK_UP, 1, 1500)

    def reset(self) -> None:
        self._frames.clear()
        self._gateway.reset()

    def close(self) -> None:
        self.reset()
        if self._pcap is not None:
            self._pcap.close()
            self._pcap = None

    def poll(self) -> None:
        self._gateway.poll(self._room)
        if self._frames:
            self.transport.serve(RECEIVE)

    def sockets(self) -> list[socket.socket]:
        """What may bring something for the guest; a run loop with nothing else to do can wait for them."""
        return self._gateway.sockets()

    def serve(self, index: int, queue: Queue) -> None:
        if index == TRANSMIT:
            for chain in queue:
                data = chain.read(_MAX_FRAME)
                if len(data) < _HEADER.size:
                    raise QueueError(f"a frame of {len(data)} bytes")
                queue.give(chain, 0)
                self._from_guest(data)
            queue.want(True)
            self._gateway.settle()
            if self._frames:
                self.transport.serve(RECEIVE)
        elif self._frames:
            self._deliver(queue)
        else:
            queue.want(False)

    def _deliver(self, queue: Queue) -> None:
        frames = self._frames
        flags = _DATA_VALID if self.accepted(F_GUEST_CSUM) else 0
        header = _HEADER.pack(flags, 0, 0, 0, 0, 0, 1)
        for chain in queue:
            frame = header + frames.popleft()
            if chain.room < len(frame):
                raise QueueError(f"a receive buffer of {chain.room} bytes for a frame of {len(frame)}")
            chain.write(frame)
            queue.give(chain, len(frame))
            if not frames:
                break
        queue.want(bool(frames))

    def _room(self) -> bool:
        return len(self._frames) < BACKLOG

    def _to_guest(self, frame: bytes) -> None:
        if len(self._frames) < MAX_BACKLOG:  # a guest that takes none has lost the rest
            self._capture(frame)
            self._frames.append(frame)

    def _from_guest(self, data: bytes) -> None:
        frame = data[_HEADER.size :]
        if self._pcap is not None:
            self._capture(_complete(data, frame))
        self._gateway.receive(frame)

    def _capture(self, frame: bytes) -> None:
        if self._pcap is not None:
            try:
                self._pcap.frame(frame)
            except OSError as error:
                self.say(f"the capture ends: {error.strerror}")
                self._pcap = None


def _complete(data: bytes, frame: bytes) -> bytes:
    """A frame with the checksum that the driver left to the device."""
    flags, _, _, _, start, offset, _ = _HEADER.unpack_from(data)
    at = start + offset
    if not flags & _NEEDS_CSUM or start < 14 or at + 2 > len(frame) or not any(frame[start:]):
        return frame
    return frame[:at] + checksum(frame[start:]).to_bytes(2, "big") + frame[at + 2 :]
