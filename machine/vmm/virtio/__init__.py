# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio devices behind virtio-mmio (VIRTIO 1.2), for realm guests: version 2, split queues, shared memory only."""

from __future__ import annotations

from .transport import VirtioDevice, VirtioMmio

__all__ = ["VirtioDevice", "VirtioMmio"]
