# SPDX-License-Identifier: GPL-2.0-or-later
"""Console device (VIRTIO 1.2 §5.3): one port, hvc0."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from .queue import Queue
from .transport import VirtioDevice

F_SIZE: Final = 1 << 0
F_EMERG_WRITE: Final = 1 << 2

RECEIVE: Final = 0
TRANSMIT: Final = 1

MAX_INPUT: Final = 1 << 16
"""Bytes of input that wait for the guest."""

_MAX_OUTPUT: Final = 1 << 20
_EMERG_WRITE: Final = 8


class Console(VirtioDevice):
    """sink: gets what the guest prints.  columns, rows: of the terminal, or 0 where its size is unknown."""

    name = "console"
    id = 3
    # Linux fills the whole receive queue with pages: more of them would fill the swiotlb pool of a small realm.
    queues = (16, 64)
    patient = (TRANSMIT,)

    def __init__(self, sink: Callable[[bytes], None], columns: int = 0, rows: int = 0) -> None:
        self._sink = sink
        self._size = columns, rows
        self.features = F_EMERG_WRITE | (F_SIZE if columns and rows else 0)
        self._input = bytearray()

    def config(self) -> bytes:
        return struct.pack("<HHII", *self._size, 1, 0)

    def configure(self, offset: int, data: bytes) -> None:
        if offset == _EMERG_WRITE:
            self._sink(data[:1])

    def resize(self, columns: int, rows: int) -> None:
        """The terminal has another size now."""
        if self.features & F_SIZE and (columns, rows) != self._size:
            self._size = columns, rows
            self.transport.config_changed()

    def feed(self, data: bytes) -> int:
        """Input for the guest; returns how many bytes were taken, fewer when it does not read."""
        taken = min(len(data), MAX_INPUT - len(self._input))
        self._input += data[:taken]
        self.transport.serve(RECEIVE)
        return taken

    def reset(self) -> None:
        self._input.clear()

    def serve(self, index: int, queue: Queue) -> None:
        if index == TRANSMIT:
            for chain in queue:
                self._sink(chain.read(_MAX_OUTPUT))
                queue.give(chain, 0)
            queue.want(True)
            return
        waiting = self._input
        if waiting:
            for chain in queue:
                size = min(chain.room, len(waiting))
                chain.write(bytes(waiting[:size]))
                del waiting[:size]
                queue.give(chain, size)
                if not waiting:
                    break
        queue.want(bool(waiting))
