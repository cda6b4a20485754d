# SPDX-License-Identifier: GPL-2.0-or-later
"""The device tree that a realm is started with (Devicetree Specification 0.4; Linux' bindings).

Devices have kvmtool's addresses in it, without the shared bit: Linux asks for their RIPAS (RSI_IPA_STATE_GET), which is
EMPTY, and sets the bit by itself.  With the bit the call is an error (DEN0137), which Linux warns of at each device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridge.errors import UserError

from . import command_line, layout
from .layout import Region
from .placement import MAX_DTB

_GIC, _CLOCK = 1, 2
_EDGE, _HIGH = 1, 4
_UART_HZ = 1_843_200
_PL011_HZ = 24_000_000


@dataclass(frozen=True, slots=True)
class Board:
    """What the device tree describes.  shared_bit: 2^(IPA width - 1), set where devices are served.

    mpidrs: one a vCPU.  console: layout.UART, layout.PL011, or None.  virtio: the slots that have a device.
    initrd: (base, end) IPA.  pmu: whether there is one.
    seed: for /chosen/rng-seed; the realm's entropy is then the same in every run.
    """

    ram_base: int
    ram_size: int
    shared_bit: int
    mpidrs: tuple[int, ...] = (0,)
    console: Region | None = layout.UART
    virtio: Sequence[int] = ()
    bootargs: str = ""
    initrd: tuple[int, int] | None = None
    pmu: bool = False
    seed: bytes = b""

    @property
    def earlycon(self) -> str | None:
        """What `earlycon=` must be for this console, since a bare `earlycon` does not set the shared bit."""
        if self.console is None:
            return None
        driver = "pl011," if self.console is layout.PL011 else "uart,mmio,"
        return f"{driver}{self.console.base | self.shared_bit:#x}"

    def windows(self) -> list[tuple[str, int, int]]:
        """(what, base, size) of all that is served, without the shared bit."""
        found = [] if self.console is None else [(self.console.name, self.console.base, self.console.size)]
        found += [("virtio", virtio_base(slot), layout.VIRTIO_STRIDE) for slot in self.virtio]
        found.append((layout.GICD.name, layout.GICD.base, layout.GICD.size))
        return [*found, (layout.GICR.name, *layout.redistributors(len(self.mpidrs)))]


def virtio_base(slot: int) -> int:
    """Address of a virtio device without the shared bit."""
    return layout.VIRTIO.base + slot * layout.VIRTIO_STRIDE


def generate(board: Board) -> bytes:
    """The flattened device tree of a board, at most 2 MiB; UserError when it cannot be described."""
    import fdt

    _check(board)
    tree = fdt.FDT(entries=[])
    tree.header.version = 17
    root = tree.root
    _words(root, "#address-cells", 2)
    _words(root, "#size-cells", 2)
    _words(root, "interrupt-parent", _GIC)
    _strings(root, "compatible", "linux,dummy-virt")
    _strings(root, "model", "ccabridge realm")
    children = [_chosen(board), _memory(board), _cpus(board), _psci(), _timer(), _gic(board)]
    if board.pmu:
        children.append(_pmu())
    if board.console is not None:
        uart = _console(board.console)
        children += [_aliases(uart), uart]
        if board.console is layout.PL011:
            children.append(_clock())
    children += [_virtio(slot) for slot in board.virtio]
    for child in children:
        root.append(child)
    data: bytes = tree.to_dtb()
    if len(data) > MAX_DTB:
        raise UserError(f"a device tree of {len(data)} bytes: at most {MAX_DTB} are allowed")
    return data


def _check(board: Board) -> None:
    if not 1 <= len(board.mpidrs) <= layout.MAX_CPUS:
        raise UserError(f"{len(board.mpidrs)} vCPUs: between 1 and {layout.MAX_CPUS} are supported")
    command_line.check(board.bootargs, board.shared_bit, earlycon=board.earlycon)
    slots = layout.VIRTIO.size // layout.VIRTIO_STRIDE
    for slot in board.virtio:
        if not 0 <= slot < slots:
            raise UserError(f"virtio device {slot}: there are {slots} slots")


def _node(name: str) -> Any:
    import fdt

    return fdt.Node(name)


def _words(node: Any, name: str, *words: int) -> None:
    import fdt

    node.append(fdt.PropWords(name, *words))


def _strings(node: Any, name: str, *texts: str) -> None:
    import fdt

    node.append(fdt.PropStrings(name, *texts))


def _flag(node: Any, name: str) -> None:
    import fdt

    node.append(fdt.Property(name))


def _pair(value: int) -> tuple[int, int]:
    return value >> 32, value & 0xFFFF_FFFF


def _reg(node: Any, *ranges: tuple[int, int]) -> None:
    _words(node, "reg", *(word for base, size in ranges for word in (*_pair(base), *_pair(size))))


def _spi(node: Any, intid: int, kind: int) -> None:
    """GIC binding: 0 for an SPI, its number, its trigger."""
    _words(node, "interrupts", 0, intid - layout.SPI, kind)


def _chosen(board: Board) -> Any:
    import fdt

    node = _node("chosen")
    if board.bootargs:
        _strings(node, "bootargs", board.bootargs)
    if board.console is not None:
        _strings(node, "stdout-path", "serial0")
    if board.initrd is not None:
        _words(node, "linux,initrd-start", *_pair(board.initrd[0]))
        _words(node, "linux,initrd-end", *_pair(board.initrd[1]))
    if board.seed:
        node.append(fdt.PropBytes("rng-seed", data=board.seed))
    return node


def _memory(board: Board) -> Any:
    node = _node(f"memory@{board.ram_base:x}")
    _strings(node, "device_type", "memory")
    _reg(node, (board.ram_base, board.ram_size))
    return node


def _cpus(board: Board) -> Any:
    node = _node("cpus")
    _words(node, "#address-cells", 1)
    _words(node, "#size-cells", 0)
    for mpidr in board.mpidrs:
        cpu = _node(f"cpu@{mpidr:x}")
        _strings(cpu, "device_type", "cpu")
        _strings(cpu, "compatible", "arm,armv8")
        _strings(cpu, "enable-method", "psci")
        _words(cpu, "reg", mpidr)
        node.append(cpu)
    return node


def _psci() -> Any:
    # `smc`: Linux looks for RSI only then, and in a realm HVC goes nowhere.
    node = _node("psci")
    _strings(node, "compatible", "arm,psci-1.0", "arm,psci-0.2")
    _strings(node, "method", "smc")
    return node


def _timer() -> Any:
    node = _node("timer")
    _strings(node, "compatible", "arm,armv8-timer")
    _words(node, "interrupts", *(word for ppi in layout.TIMER_PPIS for word in (1, ppi, _HIGH)))
    _flag(node, "always-on")
    return node


def _pmu() -> Any:
    node = _node("pmu")
    _strings(node, "compatible", "arm,armv8-pmuv3")
    _words(node, "interrupts", 1, layout.PMU_PPI, _HIGH)
    return node


def _gic(board: Board) -> Any:
    base, size = layout.redistributors(len(board.mpidrs))
    node = _node(f"interrupt-controller@{layout.GICD.base:x}")
    _strings(node, "compatible", "arm,gic-v3")
    _words(node, "#interrupt-cells", 3)
    _words(node, "#address-cells", 0)
    _flag(node, "interrupt-controller")
    _reg(node, (layout.GICD.base, layout.GICD.size), (base, size))
    _words(node, "phandle", _GIC)
    return node


def _console(region: Region) -> Any:
    node = _node(f"serial@{region.base:x}")
    if region is layout.PL011:
        _strings(node, "compatible", "arm,pl011", "arm,primecell")
        _words(node, "clocks", _CLOCK, _CLOCK)
        _strings(node, "clock-names", "uartclk", "apb_pclk")
        _reg(node, (region.base, region.size))
    else:
        _strings(node, "compatible", "ns16550a")
        _words(node, "clock-frequency", _UART_HZ)
        _reg(node, (region.base, 8))
    assert region.interrupt is not None
    _spi(node, region.interrupt, _HIGH)
    return node


def _clock() -> Any:
    node = _node("clock")
    _strings(node, "compatible", "fixed-clock")
    _words(node, "#clock-cells", 0)
    _words(node, "clock-frequency", _PL011_HZ)
    _words(node, "phandle", _CLOCK)
    return node


def _aliases(uart: Any) -> Any:
    node = _node("aliases")
    _strings(node, "serial0", f"/{uart.name}")
    return node


def _virtio(slot: int) -> Any:
    assert layout.VIRTIO.interrupt is not None
    base = virtio_base(slot)
    node = _node(f"virtio@{base:x}")
    _strings(node, "compatible", "virtio,mmio")
    _reg(node, (base, layout.VIRTIO_STRIDE))
    _spi(node, layout.VIRTIO.interrupt + slot, _EDGE)
    _flag(node, "dma-coherent")
    return node
