# SPDX-License-Identifier: GPL-2.0-or-later
"""Entropy device (VIRTIO 1.2 §5.4).  Its entropy comes from the machine's seed: equal runs stay equal."""

from __future__ import annotations

import hashlib
from typing import Final

from .queue import Queue
from .transport import VirtioDevice

MAX_REQUEST: Final = 4096
"""Bytes that one request gets at the most; the device may return fewer than there is room for."""


class Rng(VirtioDevice):
    """seed: any number; two devices of one seed give the same bytes."""

    name = "rng"
    id = 4
    queues = (16,)

    def __init__(self, seed: int) -> None:
        self._key = hashlib.sha256(b"virtio-rng" + seed.to_bytes(16, "little", signed=True)).digest()
        self._count = 0

    def serve(self, index: int, queue: Queue) -> None:
        for chain in queue:
            data = self._bytes(min(chain.room, MAX_REQUEST))
            chain.write(data)
            queue.give(chain, len(data))
        queue.want(True)

    def _bytes(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(self._key + self._count.to_bytes(8, "little")).digest(size)
