# SPDX-License-Identifier: GPL-2.0-or-later
"""The device bus: physical pages that devices own."""

from __future__ import annotations

from machine.devices.device import Device

PAGE_SHIFT = 12


class Bus:
    """Finds the device of a PA."""

    def __init__(self) -> None:
        self._pages: dict[int, tuple[int, Device]] = {}

    def attach(self, base: int, device: Device) -> None:
        for page in range(base >> PAGE_SHIFT, (base + device.size - 1 >> PAGE_SHIFT) + 1):
            if page in self._pages:
                raise ValueError(f"two devices at {page << PAGE_SHIFT:#x}")
            self._pages[page] = (base, device)

    def find(self, pa: int) -> tuple[Device, int] | None:
        """(device, offset) at a PA, or None."""
        hit = self._pages.get(pa >> PAGE_SHIFT)
        return None if hit is None else (hit[1], pa - hit[0])
