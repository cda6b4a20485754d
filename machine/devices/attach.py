# SPDX-License-Identifier: GPL-2.0-or-later
"""From declared devices to models on the bus: one constructor for each type of a machine file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from machine.config import consoles as to
from machine.config.types import (
    Flash,
    FvpPower,
    FvpSysregs,
    Gicv3,
    Ns16550,
    Nvm,
    Pl011,
    Pl031,
    SbsaWatchdog,
    Sp804,
    Sp805,
    Sp810,
    SystemCounter,
    TimerFrames,
)

from .console import Console
from .device import Clock, Device, Line, Power, Reset, Resettable, unwired
from .endpoints import ByteConsole, Endpoints, InputFile, Keyboard, OutputFile, Server

if TYPE_CHECKING:
    from bridge.memory import PhysicalMemory
    from machine.bus import Bus
    from machine.config.loader import MachineConfig
    from machine.config.types import Uart


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the devices of a machine are connected to.

    line: the input of an INTID.  console: the one of a label, shared by all that print under it.  bark, off: ask
    for a reset of the machine, and for its end.  interactive: standard input and output are a terminal.
    """

    clock: Clock
    memory: PhysicalMemory
    line: Callable[[int], Line]
    console: Callable[[str], Console]
    write: Callable[[str], object]
    power: Power
    bark: Reset
    off: Reset
    interactive: bool = False


class Placed(NamedTuple):
    """A model and where it stands.  part: of a device with several frames."""

    base: int
    device: Device
    part: str = ""


class Attached:
    """The devices of one machine."""

    def __init__(self) -> None:
        self.placed: dict[str, list[Placed]] = {}
        self.endpoints = Endpoints()
        self.consoles: list[Console] = []
        self._saves: list[tuple[str, Callable[[], Iterable[bytes | memoryview]]]] = []

    def saved(self, path: str, content: Callable[[], Iterable[bytes | memoryview]]) -> None:
        """`content` goes to `path` when the run has ended."""
        self._saves.append((path, content))

    def start(self) -> None:
        """Opens the consoles' ends: the run begins."""
        self.endpoints.start()

    def poll(self) -> bool:
        """Between slices: input that has arrived; whether any has."""
        return self.endpoints.poll()

    def stop(self) -> None:
        """The run has ended: closes the consoles' ends, writes back what was asked for."""
        for console in self.consoles:
            console.flush()
        try:
            self.endpoints.stop()
        finally:
            if self._saves:
                from .backing import write_backing

                for path, content in self._saves:
                    write_backing(path, content())

    def reset(self) -> None:
        """All models as after power-on, but for non-volatile content."""
        for models in self.placed.values():
            for model in models:
                if isinstance(model.device, Resettable):
                    model.device.reset()


def attach(config: MachineConfig, bus: Bus, around: Surroundings) -> Attached:
    """Makes every device of the machine file and places it on the bus.

    Of the interrupt controller, and of memory that the machine itself makes from an `nvm`, only the content is
    seen to here.
    """
    attached = Attached()
    maker = _Maker(config, around, attached)
    for name, declared in config.devices.items():
        make = _MAKERS[type(declared)]
        placed = list(make(maker, name, declared))
        for part in placed:
            bus.attach(part.base, part.device)
        attached.placed[name] = placed
    return attached


class _Maker:
    """Constructors by type; each gives its models with their addresses."""

    def __init__(self, config: MachineConfig, around: Surroundings, attached: Attached) -> None:
        self._config = config
        self._around = around
        self._attached = attached
        self._hz = config.clock.cntfrq

    def _line(self, intid: int | None) -> Line:
        return unwired if intid is None else self._around.line(intid)

    def pl011(self, name: str, declared: Pl011) -> Sequence[Placed]:
        from .pl011 import Pl011 as Model

        console = self._console(name, declared)
        uart = Model(console.write, self._line(declared.interrupt))
        console.plug(uart.feed)
        uart.drained = console.drained
        return (Placed(declared.base, uart),)

    def ns16550(self, name: str, declared: Ns16550) -> Sequence[Placed]:
        from .ns16550 import Ns16550 as Model

        console = self._console(name, declared)
        uart = Model(console.write, self._line(declared.interrupt), reg_shift=declared.reg_shift)
        console.plug(uart.feed)
        uart.drained = console.drained
        return (Placed(declared.base, uart),)

    def _console(self, name: str, uart: Uart) -> Console:
        """The console of a UART, with its ends among the machine's endpoints."""
        console, source = self._open(name, uart)
        ends = self._attached.endpoints
        self._attached.consoles.append(console)
        match source:
            case to.File(path):
                ends.add(InputFile(path, console))
            case to.Stdin():
                ends.add(Keyboard(console))
        return console

    def _open(self, name: str, uart: Uart) -> tuple[Console, to.Input]:
        chosen = self._config.console
        target, source = to.parse_output(uart.console), to.parse_input(uart.input)
        if chosen == name:
            label = target.text if isinstance(target, to.Label) else name
            raw = self._around.interactive
            console = Console(label, self._flushed, raw=True) if raw else self._shared(label, source)
            return console, to.Stdin() if raw and isinstance(source, to.Nothing) else source
        return self._output(name, target, source), source

    def _flushed(self, text: str) -> None:
        """A prompt has no end of line to wait for."""
        self._around.write(text)
        sys.stdout.flush()

    def _shared(self, label: str, source: to.Input) -> Console:
        """Of all that print under a label.  Input goes to one UART: that one has a console of its own."""
        if isinstance(source, to.Nothing):
            return self._around.console(label)
        return Console(label, self._around.write)

    def _output(self, name: str, target: to.Output, source: to.Input) -> Console:
        ends = self._attached.endpoints
        match target:
            case to.Label(label) if self._config.console is None:
                return self._shared(label, source)
            case to.File(path):
                file = OutputFile(path)
                ends.add(file)
                return ByteConsole(name, file.write)
            case to.Tcp() | to.Unix():
                address = (target.host, target.port) if isinstance(target, to.Tcp) else target.path
                server = Server(address, wait=target.wait)
                ends.add(server)
                server.console = ByteConsole(name, server.write)
                return server.console
        return ByteConsole(name, _drop)

    def sp805(self, name: str, declared: Sp805) -> Sequence[Placed]:
        from .sp805 import Sp805 as Model

        around = self._around
        model = Model(around.clock, declared.clock, self._line(declared.interrupt), around.bark, name)
        return (Placed(declared.base, model),)

    def sp804(self, name: str, declared: Sp804) -> Sequence[Placed]:
        from .sp804 import Sp804 as Model

        model = Model(self._around.clock, declared.clock, self._line(declared.interrupt))
        return (Placed(declared.base, model),)

    def sp810(self, name: str, declared: Sp810) -> Sequence[Placed]:
        from .sp810 import Sp810 as Model

        return (Placed(declared.base, Model()),)

    def pl031(self, name: str, declared: Pl031) -> Sequence[Placed]:
        from .pl031 import Pl031 as Model

        model = Model(self._around.clock, declared.epoch, self._line(declared.interrupt))
        return (Placed(declared.base, model),)

    def sbsa_watchdog(self, name: str, declared: SbsaWatchdog) -> Sequence[Placed]:
        from .sbsa_watchdog import RefreshFrame
        from .sbsa_watchdog import SbsaWatchdog as Model

        around = self._around
        model = Model(around.clock, self._hz, self._line(declared.interrupt), around.bark, name)
        refresh = RefreshFrame(model)
        return Placed(declared.base, model, "control"), Placed(declared.refresh, refresh, "refresh")

    def timer_frames(self, name: str, declared: TimerFrames) -> Sequence[Placed]:
        from .timer_frames import Lines, TimerControl, TimerFrame

        frames = [
            TimerFrame(
                self._around.clock, self._hz, Lines(self._line(frame.interrupt), self._line(frame.virtual_interrupt))
            )
            for frame in declared.frames
        ]
        control = Placed(declared.base, TimerControl(self._hz, frames), "CNTCTLBase")
        return control, *(Placed(at.base, frames[n], f"CNTBase{n}") for n, at in enumerate(declared.frames))

    def system_counter(self, name: str, declared: SystemCounter) -> Sequence[Placed]:
        from .timer_frames import CounterControl, CounterRead

        control = CounterControl(self._around.clock, self._hz)
        placed = [Placed(declared.base, control, "CNTControlBase")]
        if declared.read is not None:
            placed.append(Placed(declared.read, CounterRead(control), "CNTReadBase"))
        return placed

    def fvp_power(self, name: str, declared: FvpPower) -> Sequence[Placed]:
        from .fvp_power import FvpPower as Model

        return (Placed(declared.base, Model(self._around.power)),)

    def fvp_sysregs(self, name: str, declared: FvpSysregs) -> Sequence[Placed]:
        from .fvp_sysregs import FvpSysregs as Model

        around = self._around
        return (Placed(declared.base, Model(around.clock, around.bark, around.off, declared.id)),)

    def gicv3(self, name: str, declared: Gicv3) -> Sequence[Placed]:
        """The machine's own."""
        return ()

    def nvm(self, name: str, declared: Nvm) -> Sequence[Placed]:
        memory, base, size = self._around.memory, declared.base, declared.size
        content = self._content(name, declared)
        if content:
            memory.write(base, content)
        if declared.save and declared.file is not None:
            self._attached.saved(declared.file, lambda: (memory.read(base, size),))
        return ()

    def flash(self, name: str, declared: Flash) -> Sequence[Placed]:
        from .flash import Flash as Model

        model = Model(declared.size, self._content(name, declared))
        if declared.save and declared.file is not None:
            self._attached.saved(declared.file, model.content)
        return (Placed(declared.base, model),)

    def _content(self, name: str, declared: Nvm | Flash) -> bytes:
        if declared.file is None:
            return b""
        from .backing import read_backing

        where = f"{self._config.source.where('devices', name, 'file')}: devices.{name}.file"
        return read_backing(declared.file, declared.size, where, may_miss=declared.save)


def _drop(_data: bytes) -> None:
    """Output of a console that leads nowhere."""


_MAKERS: dict[type, Callable[[_Maker, str, Any], Sequence[Placed]]] = {
    Pl011: _Maker.pl011,
    Ns16550: _Maker.ns16550,
    Sp805: _Maker.sp805,
    Sp804: _Maker.sp804,
    Sp810: _Maker.sp810,
    Pl031: _Maker.pl031,
    SbsaWatchdog: _Maker.sbsa_watchdog,
    TimerFrames: _Maker.timer_frames,
    SystemCounter: _Maker.system_counter,
    FvpPower: _Maker.fvp_power,
    FvpSysregs: _Maker.fvp_sysregs,
    Gicv3: _Maker.gicv3,
    Nvm: _Maker.nvm,
    Flash: _Maker.flash,
}
