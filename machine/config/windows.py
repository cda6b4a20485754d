# SPDX-License-Identifier: GPL-2.0-or-later
"""The ranges of physical addresses that devices occupy, and their interrupts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bridge.pas import GPI

from .types import Device, Gicv3, MachineFile, SbsaWatchdog, SystemCounter, TimerFrames

PAGE = 4096

Path = tuple[str | int, ...]


class Window(NamedTuple):
    """One range of a device.  part: what it holds, empty for all of it; path: the key of its base."""

    base: int
    size: int
    device: str
    part: str
    pas: str
    path: Path

    @property
    def name(self) -> str:
        return f"devices.{self.device}{f' ({self.part})' if self.part else ''}"

    @property
    def gpi(self) -> GPI:
        return GPI[self.pas.upper().replace("-", "_")]


def windows(machine: MachineFile) -> Iterator[Window]:
    """Of all devices, in the order of the file."""
    for name, device in machine.devices.items():
        yield from _of(machine, name, device)


def _of(machine: MachineFile, name: str, device: Device) -> Iterator[Window]:
    here: Path = ("devices", name)

    def window(base: int, size: int, part: str, *key: str | int) -> Window:
        return Window(base, size, name, part, device.pas, (*here, *key))

    match device:
        case SbsaWatchdog():
            yield window(device.base, PAGE, "control", "base")
            yield window(device.refresh, PAGE, "refresh", "refresh")
        case TimerFrames():
            yield window(device.base, PAGE, "CNTCTLBase", "base")
            for index, frame in enumerate(device.frames):
                path = (*here, "frames", index, "base")
                yield Window(frame.base, PAGE, name, f"CNTBase{index}", frame.pas, path)
        case SystemCounter():
            yield window(device.base, PAGE, "CNTControlBase", "base")
            if device.read is not None:
                yield window(device.read, PAGE, "CNTReadBase", "read")
        case Gicv3():
            yield window(device.base, device.size, "distributor", "base")
            yield window(device.redistributors, device.stride * machine.cpu.count, "redistributors", "redistributors")
        case _:
            yield window(device.base, device.size, "", "base")


class Wire(NamedTuple):
    """One interrupt of a device: its INTID and the key that gives it."""

    intid: int
    device: str
    path: Path


def wires(machine: MachineFile) -> Iterator[Wire]:
    """All interrupts of devices, in the order of the file."""
    for name, device in machine.devices.items():
        if isinstance(device, TimerFrames):
            for index, frame in enumerate(device.frames):
                for key, intid in (("interrupt", frame.interrupt), ("virtual_interrupt", frame.virtual_interrupt)):
                    if intid is not None:
                        yield Wire(intid, name, ("devices", name, "frames", index, key))
            continue
        intid = getattr(device, "interrupt", None)
        if intid is not None:
            yield Wire(intid, name, ("devices", name, "interrupt"))
