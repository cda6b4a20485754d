# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux as the machine file describes it (`vmm:`): its images, devices and vCPUs, from nothing to the run loop."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import ConfigError, UserError
from bridge.image import read_bytes
from machine.bus import Bus
from machine.config.files import locate
from machine.devices.console import Console
from machine.end import GUEST_EXIT, STUCK, TIMEOUT, End
from machine.kernel_names import KernelNames
from machine.vmm.linux import command_line, layout
from machine.vmm.linux.dtb import bootargs, read_tree, stdout_is_protected
from machine.vmm.linux.fdt import Board
from machine.vmm.linux.image import read_kernel
from machine.vmm.linux.initramfs import MARK, build, exit_status
from machine.vmm.linux.launch import Launch, default_kernel, prepare
from machine.vmm.linux.placement import whole_mib
from machine.vmm.linux.symbols import image_symbols, read_symbols
from machine.vmm.realm import Vmm
from machine.vmm.run import Runner
from machine.vmm.shared import SharedMemory
from machine.vmm.vcpu import mpidr_of
from machine.vmm.vgic import VGic
from machine.vmm.virtio.transport import DRIVER_OK, VirtioDevice, VirtioMmio

if TYPE_CHECKING:
    from machine.config.types import Vmm as Description
    from machine.machine import Machine

CONSOLES = {
    "serial": (layout.UART, "ttyS0"),
    "pl011": (layout.PL011, "ttyAMA0"),
    "virtio": (None, "hvc0"),
}
GRANULE = 4096
SMALL = 256 << 20
SWIOTLB_SLOTS = 8192  # of 2 KiB
QUIET_NS = 60_000_000_000


class ExitWatch:
    """Passes a console's bytes on, and keeps what the project's init says of how its script ended."""

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self._sink = sink
        self._line = bytearray()
        self.status: int | None = None
        self.silent = True
        # Virtual time in ns, None right after output.
        self.quiet_since: int | None = None

    def wire(self, sink: Callable[[bytes], None]) -> None:
        self._sink = sink

    def write(self, data: bytes) -> None:
        self._sink(data)
        self.silent = False
        self.quiet_since = None
        self._line += data
        if b"\n" in data:
            if MARK in self._line:
                status = exit_status(bytes(self._line))
                self.status = self.status if status is None else status
            del self._line[: self._line.rindex(b"\n") + 1]
        elif len(self._line) > GRANULE:
            del self._line[: len(self._line) // 2]


class VirtioWindow:
    """The slots of the virtio-mmio region, closer together than pages."""

    size = layout.VIRTIO.size

    def __init__(self) -> None:
        self.slots: list[VirtioMmio] = []

    def read(self, offset: int, size: int) -> int:
        slot, at = divmod(offset, layout.VIRTIO_STRIDE)
        return self.slots[slot].read(at, size) if slot < len(self.slots) else 0

    def write(self, offset: int, size: int, value: int) -> None:
        slot, at = divmod(offset, layout.VIRTIO_STRIDE)
        if slot < len(self.slots):
            self.slots[slot].write(at, size, value)


class LinuxGuest:
    """A realm with Linux in it."""

    def __init__(self, machine: Machine, vmm: Vmm, description: Description) -> None:
        self.machine = machine
        self.vmm = vmm
        self.description = description
        self._configure()
        self.virtio = self._virtio_devices()
        self.launch = self._prepare()

    def _configure(self) -> None:
        d = self.description
        counters = self.vmm.features.pmu_num_ctrs if d.pmu == "all" else d.pmu
        self.vmm.configure(ram_base=layout.RAM_BASE)
        for key, parameters in (
            ("memory", {"memory": d.memory}),
            ("hash", {"hash": d.hash}),
            ("personalization", {"rpv": d.rpv}),
            ("sve", {"sve_bits": d.sve}),
            ("pmu", {"pmu_counters": counters}),
        ):
            with self._blaming(key):
                self.vmm.configure(**parameters)

    @contextmanager
    def _blaming(self, key: str) -> Iterator[None]:
        """What is wrong inside is wrong with that key of the machine file, if that is where it comes from."""
        try:
            yield
        except UserError as error:
            node, place = self.machine.config.source.node("vmm", key)
            if isinstance(node.value, dict):  # a default
                raise
            raise ConfigError(f"{place}: vmm.{key}: {error}") from error

    # What it is started with

    def _prepare(self) -> Launch:
        d = self.description
        console, tty = CONSOLES[d.console]
        with self._blaming("dtb"):
            tree = None if d.dtb is None else read_tree(d.dtb)
        given = d.cmdline if d.cmdline is not None or tree is None else bootargs(tree)
        board = Board(
            ram_base=layout.RAM_BASE,
            ram_size=d.memory,
            shared_bit=self.vmm.options.shared_bit,
            mpidrs=tuple(mpidr_of(i) for i in range(d.vcpus)),
            console=console,
            virtio=range(len(self.virtio)),
            pmu=d.pmu is not None,
            bootargs=self._bootargs(tty, given or ""),
        )
        self.earlycon = board.earlycon
        with self._blaming("cmdline" if d.cmdline is not None or tree is None else "dtb"):
            early = board.earlycon if tree is None or stdout_is_protected(tree, board) else None
            command_line.check(board.bootargs, board.shared_bit, earlycon=early)
        with self._blaming("symbols"):
            self.symbols = None if d.symbols is None else read_symbols(d.symbols)
        with self._blaming("kernel"):
            kernel = read_kernel(self._kernel())
        launch = prepare(board, kernel, initrd=self._initrd(kernel.release), dtb=tree)
        if d.dump_dtb is not None:
            try:
                Path(d.dump_dtb).write_bytes(launch.dtb)
            except OSError as error:
                raise UserError(f"{d.dump_dtb}: {error.strerror}") from None
        return launch

    def _kernel(self) -> Path:
        name = self.description.kernel
        if name is None:
            return default_kernel()
        return locate(name, self.machine.config.source.where("vmm", "kernel"))

    def _bootargs(self, tty: str, given: str) -> str:
        """What is given, after the defaults that it has no word for."""
        words = [f"console={tty}", "panic=-1"]  # a panic ends the run: by PSCI SYSTEM_RESET
        if self.description.memory < SMALL:
            # Of Debian's kernels CMA and swiotlb take 64 MiB each, more than there is.
            words += ["cma=0", f"swiotlb={SWIOTLB_SLOTS // 4}"]
        elif self._drivers():
            # Devices bounce through this pool: by default 64 MiB, but 7.3 has 256 KiB of it in a realm of 256 MiB.
            words.append(f"swiotlb={SWIOTLB_SLOTS}")
        return command_line.with_defaults(given, words)

    def _initrd(self, release: str | None) -> tuple[str, bytes]:
        d = self.description
        if d.initrd is not None:
            with self._blaming("initrd"):
                return d.initrd, read_bytes(d.initrd)
        from machine.vmm.linux.cache import cached_busybox, kernel_dir
        from machine.vmm.linux.modules import resolve

        folder = Path(d.kernel).parent / "modules" if d.kernel else kernel_dir(release or "") / "modules"
        modules = resolve(folder, d.modules, optional=self._drivers(), release=release)
        busybox = cached_busybox() if d.busybox else None
        if d.busybox and busybox is None:
            raise UserError("no busybox: fetch one with `ccabridge fetch-kernel --busybox`")
        shares = [(share.tag, f"/mnt/{share.tag}") for share in d.shares]
        return "initramfs", build(script=d.script, modules=modules, shares=shares, busybox=busybox)

    def _drivers(self) -> list[str]:
        """Modules that the devices need of a kernel that does not have them built in; the rng alone needs none."""
        from machine.vmm.linux.modules import SHARES

        d = self.description
        wanted = ["virtio_console"] if d.console == "virtio" else []
        wanted += ["virtio_blk"] if d.disks else []
        wanted += ["virtio_net"] if d.net is not None else []
        wanted += [*SHARES] if d.shares else []
        return ["virtio_mmio", *wanted, *(["virtio-rng"] if d.rng else [])] if wanted else []

    # Devices

    def _virtio_devices(self) -> list[VirtioDevice]:
        d, machine = self.description, self.machine
        devices: list[VirtioDevice] = []
        if d.console == "virtio":
            from machine.vmm.virtio.console import Console as VirtioConsole

            self.hvc = VirtioConsole(self._out)
            devices.append(self.hvc)
        for disk in d.disks:
            from machine.vmm.virtio.block import Block
            from machine.vmm.virtio.disk import Overlay, RawFile

            raw = RawFile(disk.file, writable=disk.mode == "rw")
            devices.append(Block(Overlay(raw) if disk.mode == "overlay" else raw))
        for share in d.shares:
            from machine.vmm.virtio.folder import Folder
            from machine.vmm.virtio.ninep import NineP

            devices.append(NineP(Folder(share.folder, writable=share.writable), share.tag))
        if d.net is not None:
            from machine.vmm.virtio.net.device import Net
            from machine.vmm.virtio.net.gateway import Gateway
            from machine.vmm.virtio.net.pcap import Pcap

            capture = None if d.net.capture is None else Pcap(d.net.capture, machine.alarms)
            devices.append(Net(Gateway(), capture))
        if d.rng:
            from machine.vmm.virtio.rng import Rng

            devices.append(Rng(machine.config.cpu.seed))
        return devices

    def _out(self, data: bytes) -> None:
        self.watch.write(data)

    @property
    def takes_input(self) -> bool:
        """Standard input is a terminal's, or that of a shell; a script from nowhere gets none."""
        return self.description.script is None or (os.isatty(0) and os.isatty(1))

    def _attach(self, bus: Bus, gic: VGic, console: Console) -> None:
        """Input waits until a driver listens: what opens a UART throws away what has come before."""
        self._console = console
        self.watch = ExitWatch(console.write)
        kind = self.description.console
        uart: Ns16550 | Pl011 | None = None
        if kind == "serial":
            from machine.devices.ns16550 import Ns16550

            uart = Ns16550(self.watch.write, partial(gic.set_line, 32))
            bus.attach(layout.UART.base, uart)
        elif kind == "pl011":
            from machine.devices.pl011 import Pl011

            uart = Pl011(self.watch.write, partial(gic.set_line, 33))
            bus.attach(layout.PL011.base, uart)
        self.uart = uart
        self._plug(console)
        memory = SharedMemory(self.vmm.door, self.vmm.memory)
        window = VirtioWindow()
        first = layout.VIRTIO.interrupt or 0
        for slot, device in enumerate(self.virtio):
            window.slots.append(
                VirtioMmio(
                    device,
                    memory,
                    partial(gic.set_line, first + slot),
                    self.machine.calls.event,
                    clock=self.machine.alarms,
                )
            )
        bus.attach(layout.VIRTIO.base, window)
        bus.attach(layout.GICD.base, gic.distributor)
        bus.attach(layout.redistributors(len(self.vmm.vcpus))[0], gic.redistributors)

    def _plug(self, console: Console) -> None:
        """Connects console and UART."""
        uart = self.uart
        if uart is None:
            hvc = self.hvc
            console.plug(lambda data: hvc.feed(data) if hvc.transport.status & DRIVER_OK else 0)
        else:
            console.plug(lambda data: uart.feed(data) if uart.listens else 0)
            uart.drained = console.drained

    # The realm

    def build(self, progress: Callable[[str, int, int], None]) -> None:
        """From nothing to an active realm."""
        vmm, d, where = self.vmm, self.description, self.launch.where
        if self._is_small:
            self.machine.say(self._small())
        vmm.create(d.vcpus)
        vmm.init_ripas(layout.RAM_BASE, d.memory)
        for what, ipa, content in self.launch.contents():
            start = ipa & -GRANULE
            content = bytes(ipa - start) + content
            size = -(-len(content) // GRANULE) * GRANULE
            vmm.populate(start, size, content, progress=partial(progress, what))
        for _ in range(d.vcpus):
            vcpu = vmm.add_vcpu()
            vcpu.set_pc(where.entry)
            if vcpu.index == 0:
                vcpu.set_register(0, where.dtb)
            vmm.finalize(vcpu)
        vmm.activate()

    def run(self, console: Console) -> None:
        """Ends by End, with the status of the script as exit code."""
        vmm = self.vmm
        self.machine.hosted = self
        lrs = vmm.features.gicv3_num_lrs + 1
        gic = VGic([mpidr_of(v.index) for v in vmm.vcpus], spis=64, lrs=lrs)
        bus = Bus()
        self._attach(bus, gic, console)
        runner = self.runner = Runner(self.machine, vmm, devices=bus, interrupts=gic, console=self.watch.write)
        runner.poll = self._poll
        kernel, at = self.launch.kernel, self.launch.where.kernel
        if self.symbols is not None and self.machine.symbols.given_kernel is None:
            self.machine.symbols.given_kernel = self.symbols
        self.machine.symbols.kernel = KernelNames(self.machine, at, lambda: image_symbols(kernel.path, kernel.data, at))
        self.go_on()

    def wire(self, machine: Machine) -> None:
        """In another machine than the one in which it was built."""
        assert machine.config.vmm is not None
        self.machine, self.description = machine, machine.config.vmm
        self._console = machine.terminal("realm 0") if self.takes_input else machine.console("realm 0")
        self.watch.wire(self._console.write)
        self._plug(self._console)

    def go_on(self) -> None:
        """Ends by End, with the status of the script as exit code."""
        try:
            self.runner.run()
        except End as end:
            if end.kind == GUEST_EXIT:
                if self.watch.status is not None:
                    end.code = self.watch.status
                elif self.description.script is not None and self.description.initrd is None:
                    end.code, end.reason = 1, f"{end.reason} before its script has ended"
            ended = end.kind in (GUEST_EXIT, STUCK, TIMEOUT)
            if ended and self.watch.silent and self.launch.kernel.release is not None:
                end.reason = f"{end.reason}; it has printed nothing: {self._advice()}"
            raise
        finally:
            for device in self.virtio:
                device.close()

    def _advice(self) -> str:
        shown = f"-p earlycon={self.earlycon} shows why" if self.earlycon else "--console serial shows more"
        return f"{shown}, and {self._small()}" if self._is_small else shown

    @property
    def _is_small(self) -> bool:
        """Linux may not get to init.  Of what is not Linux nothing is known."""
        return self.launch.kernel.release is not None and self.launch.ram < self.launch.least

    def _small(self) -> str:
        launch = self.launch
        option = "-m " if launch.ram == self.description.memory else "mem="
        return (
            f"{whole_mib(launch.ram)}M of RAM may be too little for this kernel: "
            f"give {option}{whole_mib(launch.least)}M or more"
        )

    def _poll(self) -> None:
        for device in self.virtio:
            device.poll()
        self._console.drained()
        d = self.description
        if d.script is None and d.initrd is None:
            self._end_of_input()

    def _end_of_input(self) -> None:
        """The project's shell waits for input, and there will be none: that would go on for ever."""
        now, watch = self.machine.virtual_ns, self.watch
        if watch.quiet_since is None or self.machine.attached.endpoints.live:
            watch.quiet_since = now
        elif now - watch.quiet_since > QUIET_NS:
            raise End(
                STUCK,
                f"realm `{self.vmm.name}`: its shell has been quiet for {QUIET_NS // 1_000_000_000} s of virtual time, "
                "and standard input has ended: type in a terminal, or give --exec",
            )
