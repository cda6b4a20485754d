# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine put together from its configuration: memory, GPT, worlds, devices; and its run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from bridge.core import NEVER, Board, Core, sysreg
from bridge.cpu import ID_REGISTERS, id_registers
from bridge.errors import ConfigError, UserError
from bridge.gic import FRAME, Gic
from bridge.memory import PhysicalMemory, Region
from bridge.pas import PAS
from bridge.plugin import lib
from machine.attestation import LazyAttester, check_platform
from machine.bus import Bus
from machine.calls import CallLog
from machine.clock import Alarms
from machine.config.images import read_images
from machine.config.scalars import size_text
from machine.config.supported import refuse_unsupported
from machine.config.types import Gicv3, Nvm
from machine.config.validate import gpt_ranges
from machine.devices.attach import Surroundings, attach
from machine.devices.console import Console
from machine.devices.device import Line, unwired
from machine.devices.endpoints import Keyboard
from machine.end import GUEST_EXIT, MODEL_BUG, UNHANDLED, End, Reset, Restored
from machine.gpt import GRANULE, GranuleProtectionTable
from machine.loading import Symbols, place, registers
from machine.monitor import Monitor
from machine.pe import Mode, Pe
from machine.recs import RmmMemory, RootPlatform, let_sve
from machine.scheduler import Turns, run_machine
from machine.semihosting import Semihosting
from machine.stuck import Evidence
from machine.unclaimed import Unclaimed
from rmm.features import Features
from rmm.idregs import realm_id_registers
from rmm.rmm import Rmm

if TYPE_CHECKING:
    from machine.config.loader import MachineConfig
    from machine.secure import SecureService
    from machine.stops import Stops
    from machine.trace import Tracer
    from machine.traces.coverage import Coverage
    from rmm.protocols import Attester, RecInit

# How far a context runs before Python looks at signals and wall time; no guest can see it.
SLICE = 20_000_000
# The same while somebody may type: a guest that polls its UART stops at every few instructions.
LIVE_SLICE = 100_000
# Seconds of wall time between looks at signals while every PE waits for input.
INPUT_WAIT = 0.1
SCTLR_EL2 = sysreg(3, 4, 1, 0, 0)
SCTLR_EL2_RES1 = 0x30C5_0830  # as EL3 firmware hands over
HAFDBS = {"none": 0, "af": 1, "dirty": 2}


class Hosted(Protocol):
    """A realm that the Python VMM has built."""

    def go_on(self) -> None:
        """Runs it to its End."""
        ...


class Machine:
    """One machine.  Nothing outside the process is touched until `run`, and `run` can be called once.

    output: gets every line of standard output (consoles, trace), newline included.
    scripted: whoever made it plays the host: nothing is started in the Normal world, and standard input is not read.
    """

    def __init__(self, config: MachineConfig, output: Callable[[str], object], *, scripted: bool = False) -> None:
        refuse_unsupported(config, scripted=scripted)
        images = read_images(config)
        self.config = config
        self._out = output
        # Instructions that have run before, and are run again, print nothing (machine.rewind).
        self.quiet_until = 0
        self.scripted = scripted
        self._consoles: dict[str, Console] = {}
        # Called between slices, so that signals and progress get their turn; the model does not depend on it.
        self.poll: Callable[[], None] = _nothing
        # Told how far long work has got: what, how much of it is done, and of how much.
        self.progress: Callable[[str, int, int], None] = _no_progress
        # The Python VMM's last REC exits, as the report of a stop shows them.
        self.last_exits: Callable[[], Iterable[str]] = tuple
        # Told of what a console has got: its text when a line is complete, None for a part of one.
        self.heard: Callable[[Console, str | None], None] = _unheard
        # Whether a guest may have the process's standard input.
        self.stdin = True
        # Standard input and output are one guest's.
        self.interactive = False
        # While somebody may type, idle time passes as slowly as outside.
        self.paced = False
        self._overslept = 0.0  # seconds of wall time that the last wait took too long
        self.tracing = False
        self.tracer: Tracer | None = None
        self.stops: Stops | None = None
        self.coverage: Coverage | None = None
        self.hafdbs = HAFDBS[config.cpu.features.hafdbs]

        self.memory = PhysicalMemory(_regions(config))
        self.board = Board(self.memory, cntfrq=config.clock.cntfrq, rate=config.clock.rate)
        self.board.set_limit(self._limit())
        check_platform(config)
        self.interrupts, self.gic = self._make_gic()
        self.calls = CallLog(self.board)
        self.semihosting = Semihosting(self)
        self.images = images
        self.symbols = Symbols(images, config.load)
        linux = next((image for image in images.realms if image.linux is not None), None)
        if linux is not None or config.vmm is not None:
            from machine import kernel_names

            named = kernel_names.of_vmm(self) if linux is None else kernel_names.of_realm(self, linux)
            self.symbols.kernel = named
        self.resets = 0
        self.frozen: Callable[[], None] | None = None
        self.interrupted = False  # now it does
        self.hosted: Hosted | None = None
        # Of a machine that comes out of a snapshot: what its `Stops` knew (machine.snapshot.past).
        self.past = b""
        self.turn_end = 0
        self.alone = True
        self._cores: list[Core] = []
        self.bus = Bus()
        self.unclaimed = Unclaimed()
        self._attach_devices()
        self._power_up()

    def _power_up(self) -> None:
        """Everything that a reset makes anew: tables, devices, RMM, monitor, memory's content, PEs."""
        config = self.config
        root = self.memory.region(config.memory[config.gpt.region].base)
        self.gpt = GranuleProtectionTable(
            root.bytes, root.base, gpt_ranges(config), pps_bits=config.gpt.pps, l0_bits=config.gpt.l0_bits
        )
        self.board.set_gpt(
            self.gpt.l0_base, pps_bits=self.gpt.pps_bits, l0_bits=self.gpt.l0_bits, pgs_bits=self.gpt.pgs_bits
        )
        memory = RmmMemory(self.board)
        self.platform = RootPlatform(self)
        self.rmm = Rmm(
            memory,
            self.platform,
            features=rmm_features(config),
            dram=[(r.base, r.size) for r in config.memory.values() if r.pas == "non-secure"],
            observer=self.calls,
            attester=self._attester(memory),
        )
        self.evidence = self.calls.evidence = Evidence(self)
        if self.stops is not None:
            self.stops.power_up()
        self.monitor = Monitor(self)
        if self.gic is not None:
            self.gic.handoff()
        place(self.images, self.memory, stage=config.boot.host == "firmware")
        if config.boot.info is not None:
            from machine.payload_abi import host_info

            self.memory.write(config.boot.info, host_info(self, self.images.realms))
        self.pes = [Pe(i, mpidr) for i, mpidr in enumerate(config.cpu.affinities)]
        self.pe = self.pes[0]
        self.running: Core | None = None
        self.turns = Turns()
        self._host = self._firmware if config.boot.host == "firmware" else self._vmm
        if config.boot.host == "firmware" and not self.scripted:
            self.power_on(self.pe, self.images.entry, 0)
            for number, value in registers(config).items():
                self.pe.normal.set_x(number, [value])
            self.running = self.pe.normal
        self.secure = self._secure_service()

    def _attester(self, memory: RmmMemory) -> Attester | None:
        """Tokens need a page that Root world and RMM share: the last one of the RMM's memory."""
        rmm = next((r for r in self.config.memory.values() if r.pas == "realm"), None)
        return None if rmm is None else LazyAttester(self, memory, rmm.base + rmm.size - GRANULE)

    def reset(self) -> None:
        """Power-cycles the machine: only memory marked `retain`, consoles and time go on."""
        self.close()
        for region in self.memory:
            if not region.retain:
                region.clear()
        if self.gic is not None:
            self.gic.reset()
        self.attached.reset()
        self.resets += 1
        self._power_up()

    @property
    def host(self) -> Core:
        """PE 0's context in the Normal world."""
        return self.pes[0].normal

    def _limit(self) -> int:
        limits, clock = self.config.limits, self.config.clock
        bounds = [limits.instructions] if limits.instructions else []
        if limits.time:
            bounds.append(max(1, int(limits.time) * clock.rate // 1_000_000_000))
        return min(bounds, default=0)

    def _make_gic(self) -> tuple[Gic, Gic | None]:
        """What gives realms their virtual interfaces, and the same where it is the machine's own GIC too."""
        cpu, lrs = self.config.cpu, self.config.rmm.features.list_registers
        for device in self.config.devices.values():
            if isinstance(device, Gicv3):
                gic = Gic(
                    self.board,
                    cpu.affinities,
                    dist=device.base,
                    redist=device.redistributors,
                    stride=device.stride,
                    spis=device.spis,
                    list_registers=lrs,
                )
                return gic, gic
        # Host firmware has nothing to enable maintenance interrupts in; the Python VMM takes them, as KVM does.
        by_vmm = self.config.boot.host == "vmm"
        gic = Gic(
            self.board,
            cpu.affinities,
            dist=0,
            redist=FRAME,
            list_registers=lrs,
            virtual_only=True,
            maintenance=by_vmm,
        )
        return gic, None

    def _line(self, intid: int) -> Line:
        if self.gic is None:
            return unwired
        gic, others = self.gic, len(self.config.cpu.affinities) > 1

        def drive(level: bool) -> None:
            gic.set_line(intid, level)
            if level and others and self.alone:  # it may be for a PE that waits
                self.turn_end = self.board.insns
                self.board.end_turn_at(self.turn_end)

        return drive

    def _attach_devices(self) -> None:
        self.alarms = Alarms(lambda: self.board.insns, self.config.clock.rate)
        self.attached = attach(
            self.config,
            self.bus,
            Surroundings(
                clock=self.alarms,
                memory=self.memory,
                line=self._line,
                console=self.console,
                write=self._output,
                power=_Power(self),
                bark=_reset,
                off=_off,
                interactive=os.isatty(0) and os.isatty(1),
            ),
        )

    @property
    def consoles(self) -> Mapping[str, Console]:
        """By label, those that have been asked for."""
        return self._consoles

    def say(self, text: str) -> None:
        """A line of the emulator's own among the output."""
        self._output(f"ccabridge: {text}\n")

    def console(self, label: str) -> Console:
        """The console of a label, shared by all that print under it."""
        if label not in self._consoles:
            self._consoles[label] = Console(label, self._output, heard=self._printed)
        return self._consoles[label]

    def _output(self, text: str) -> None:
        if self.board.insns >= self.quiet_until:
            self._out(text)

    def _printed(self, console: Console, line: str | None) -> None:
        if line is not None:
            self.calls.event("console", line, 1 if console.label.startswith("realm") else 0, label=console.label)
        self.heard(console, line)

    def terminal(self, label: str) -> Console:
        """The console of a label, with standard input: raw when both are a terminal, else a line at a time.

        While the machine runs only: `attached.stop` gives the terminal back.
        """
        console = self.console(label)
        if not self.stdin:
            return console
        if os.isatty(0) and os.isatty(1):
            self.interactive = True
            console = self._consoles[label] = Console(label, self._flushed, raw=True)
        if sys.stdin is not None:  # closed: the descriptor may be another file's by now
            self.attached.endpoints.open(Keyboard(console))
            self.paced = True
        return console

    def _flushed(self, text: str) -> None:
        """A prompt has no end of line to wait for."""
        self._output(text)
        sys.stdout.flush()

    def freeze(self, action: Callable[[], None]) -> None:
        """Has `action` done as soon as the run stands between two instructions, and nothing of it on Python's stack."""
        assert self.stops is not None
        self.frozen = action
        if not self.stops.standing:
            self.board.stop_next()

    def thaw(self) -> None:
        """Does it."""
        action, self.frozen, self.interrupted = self.frozen, None, False
        if action is not None:
            action()

    def normal_core(self, pe: Pe) -> Core:
        """A PE's context in the Normal world, at its reset state."""
        config = self.config
        core = Core(
            self.board,
            f"normal world, PE {pe.index}",
            pas=PAS.NON_SECURE,
            el=config.boot.el,
            mpidr=0x8000_0000 | pe.mpidr,
            pa_bits=config.cpu.pa_bits,
            seed=config.cpu.seed + pe.index,
            hafdbs=self.hafdbs,
            semihosting=config.semihosting,
            pmu=config.rmm.features.pmu_counters if config.cpu.features.pmu else None,
            pe=pe.index,
        )
        self.present_ids(core)
        if config.boot.el == 2:
            core.set_sysreg(SCTLR_EL2, SCTLR_EL2_RES1)
        if config.cpu.features.sve:
            let_sve(core)
        return core

    def power_on(self, pe: Pe, entry: int, context_id: int) -> None:
        """A PE starts in the Normal world, at its reset state, as the monitor's ERET leaves it."""
        config = self.config
        if pe.core is not None:
            self.remove_core(pe.core)
            pe.core.close()
        core = self.normal_core(pe)
        if self.gic is not None:
            self.gic.power(pe.index, True)
        core.set_x(0, [context_id])
        core.pc = entry
        core.trace(self.tracing)
        self.add_core(core)
        pe.core, pe.mode, pe.waiting, pe.resume_at = core, Mode.NORMAL, False, None
        if pe is not self.pe:  # who runs alone has a long turn
            self.turn_end = min(self.turn_end, self.board.insns + config.cpu.quantum)
            self.board.end_turn_at(self.turn_end)
            self.bound_turn()

    def begin_turn(self, pe: Pe) -> None:
        """Gives a PE its quantum; where all others wait, it runs until the first of their timers."""
        self.pe = pe
        self.running = pe.core
        self._look_around()
        now, until = self.board.insns, NEVER
        for other in self.pes:
            if other is pe or not other.on:
                continue
            if not other.waiting or other.wakes(now):
                self._begin(self.config.cpu.quantum, alone=False)
                return
            until = min(until, other.wake_at)
        self._begin(min(self._slice(), until - now), alone=True)

    def begin_slice(self, *, alone: bool) -> None:
        """alone: no other context could run, so that one that waits takes time with it."""
        self._look_around()
        self._begin(self._slice() if alone else self.config.cpu.quantum, alone=alone)

    def _look_around(self) -> None:
        self.poll()
        self.attached.poll()
        self.alarms.run_due()
        self.evidence.look()

    def _slice(self) -> int:
        return LIVE_SLICE if self.attached.endpoints.live else SLICE

    def _begin(self, insns: int, *, alone: bool) -> None:
        self.alone = alone
        self.turn_end = self.board.insns + insns
        self.board.end_turn_at(self.turn_end)
        self.bound_turn()

    def wait(self, core: Core) -> None:
        """What runs on the present PE waits for an interrupt."""
        self.pe.waiting = True
        self.pe.waiter = core
        self.pe.wake_at = int(lib.cca_wake_at(core.handle))

    def secure_interrupt(self, core: Core) -> bool:
        """A Secure interrupt is signalled while `core` runs; whether that goes on at once."""
        if self.secure is None or not self.secure.interrupt(self.pe):  # nobody is there, or it has aborted
            raise End(
                UNHANDLED, "a Secure interrupt is pending, and nobody in the Secure world waits for it", core=core
            )
        return self.pe.mode is Mode.NORMAL

    def bound_turn(self) -> None:
        """Ends the turn at the next alarm of a device, if that comes first."""
        alarm = self.alarms.next_at()
        if alarm is not None and alarm < self.turn_end:
            self.board.end_turn_at(alarm)

    def _secure_service(self) -> SecureService | None:
        secure, entry = self.config.secure, self.images.secure
        if secure is None or entry is None:
            return None
        from uuid import UUID

        from machine.secure import SecureService

        return SecureService(self, entry, UUID(secure.uuid).bytes)

    def present_ids(self, core: Core, realm: RecInit | None = None) -> None:
        """Gives a context the machine's ID registers; a realm's are masked by the RMM."""
        config = self.config
        handle = core.handle

        def engine(encoding: int) -> int:
            return int(lib.cca_engine_id(handle, encoding))

        gic = self.gic is not None or realm is not None
        values = id_registers(engine, config.cpu.features, config.cpu.pa_bits, gic=gic)
        if realm is not None:
            values = realm_id_registers(values, sve=realm.sve_vq is not None, pmu=realm.pmu_counters is not None)
        shown = {ID_REGISTERS[name]: value for name, value in values.items()}
        for low in range(128):
            encoding = 0xC000 | low
            if low != 5:  # MPIDR_EL1 is the context's own
                core.set_id(encoding, shown.get(encoding, 0))

    def add_core(self, core: Core) -> None:
        self._cores.append(core)
        if self.coverage is not None:
            self.coverage.attach(core)
        if self.stops is not None:
            self.stops.attach(core)

    def remove_core(self, core: Core) -> None:
        self._cores.remove(core)

    def trace_with(self, tracer: Tracer) -> None:
        """Every event goes to `tracer` from now on."""
        self.tracer = tracer
        self.tracing = tracer.cores
        self.calls.trace = tracer
        self.calls.moves = tracer.moves
        for core in self._cores:
            core.trace(self.tracing)

    def debug_stop(self, core: Core) -> bool:
        """A core has stopped for the debugger, and goes on when this returns False; True interrupts its turn."""
        assert self.stops is not None
        self.stops.reached(core)
        self.interrupted = self.frozen is not None
        return self.interrupted

    def drain_events(self, core: Core) -> None:
        """Hands what the plugin noted (exceptions, faults, unknown registers), and the exit, to the trace."""
        if self.tracer is not None:
            self.tracer.exited(core)

    def mmio(self, core: Core) -> None:
        """Answers the device access a core has stopped at; an external abort where no device is."""
        exit_ = core.exit
        hit = self.bus.find(exit_.pa)
        if hit is None:
            self._nothing_there(core)
            return
        device, offset = hit
        if exit_.is_write:
            if self.tracing:
                self._trace_access("mmio", core, exit_.value)
            device.write(offset, exit_.size, exit_.value)
            self.bound_turn()
            lib.cca_mmio_done(core.handle, 0)
        else:
            value = device.read(offset, exit_.size)
            if self.tracing:
                self._trace_access("mmio", core, value)
            lib.cca_mmio_done(core.handle, value)

    def _trace_access(self, name: str, core: Core, value: int | None, text: str | None = None) -> None:
        if self.tracer is not None:
            exit_ = core.exit
            self.tracer.access(name, core, exit_.pa, exit_.size, bool(exit_.is_write), value, text)

    def mmio_form(self, core: Core) -> bool:
        """A device access by an instruction that devices do not take; False where there is a device.

        Where there is none, it is an external abort as any other's.
        """
        from machine.config.windows import windows

        exit_ = core.exit
        if any(w.base <= exit_.pa < w.base + w.size for w in windows(self.config)):
            return False
        self._nothing_there(core)
        return True

    def _nothing_there(self, core: Core) -> None:
        exit_ = core.exit
        first = self.unclaimed.note(exit_.pa, exit_.size, bool(exit_.is_write), core.pc, core)
        if first and self.tracing:
            self._trace_access("unclaimed", core, None, self.unclaimed.touches[-1].describe(self.symbols))
        lib.cca_external_abort(core.handle)

    def run(self, host: Callable[[], None] | None = None) -> End:
        """Runs to the end and says which it was.  host: what plays the Normal world, if not what the file says."""
        self.attached.start()
        try:
            while True:
                try:
                    if self.secure is not None:
                        self.secure.boot()
                    (host or self._host)()
                except Reset as reset:
                    self.calls.event("reset", reset.reason)
                    self.reset()
                except Restored:
                    continue
        except End as end:
            return end
        except (KeyboardInterrupt, TimeoutError, UserError):
            raise
        except Exception as error:
            bug = End(MODEL_BUG, f"{type(error).__name__}: {error}", core=self.running)
            bug.__cause__ = error
            return bug
        finally:
            for console in self._consoles.values():
                console.flush()
            self.attached.stop()

    def _firmware(self) -> None:
        run_machine(self)

    def _vmm(self) -> None:
        from machine.vmm.host import run_vmm

        run_vmm(self)

    def close(self) -> None:
        for core in self._cores:
            core.close()
        self._cores.clear()

    def skip_time(self, edges: Iterable[int]) -> bool:
        """All wait: time goes on to the first of the timers' edges and the devices' alarms, or stands still while
        input may come; False where nothing can end the waiting.
        """
        alarm = self.alarms.next_at()
        at = min((*edges, NEVER if alarm is None else alarm))
        if at == NEVER:
            endpoints = self.attached.endpoints
            if not endpoints.live:
                return False
            self.poll()
            endpoints.wait(INPUT_WAIT)
            return True
        self.board.skip_to(self._paced(at) if self.paced and self.attached.endpoints.live else at)
        self.alarms.run_due()
        return True

    def _paced(self, at: int) -> int:
        """How far an idle machine gets on its way to the instruction count `at`, in wall time, before input comes."""
        import time

        rate, now = self.config.clock.rate, self.board.insns
        start = time.monotonic() - self._overslept
        self.poll()
        self.attached.endpoints.wait(max(0.0, min((at - now) / rate - self._overslept, INPUT_WAIT)))
        reached = min(at, now + int((time.monotonic() - start) * rate))
        self._overslept = min(time.monotonic() - start - (reached - now) / rate, INPUT_WAIT)
        return self.attached.endpoints.paced(reached)

    @property
    def cores(self) -> Sequence[Core]:
        return self._cores

    @property
    def virtual_ns(self) -> int:
        """Virtual time in nanoseconds."""
        return self.board.insns * 1_000_000_000 // self.config.clock.rate


def _no_progress(_what: str, _done: int, _of: int) -> None:
    """Nobody watches."""


def _unheard(_console: Console, _line: str | None) -> None:
    """Nobody listens."""


def _nothing() -> None:
    """What happens between slices unless someone wants to know."""


def _reset(reason: str) -> None:
    raise Reset(reason)


def _off(reason: str) -> None:
    raise End(GUEST_EXIT, reason, code=0)


class _Power:
    """What devices may know of the PEs' power.  The monitor starts and stops them, at PSCI's word alone."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.affinities = machine.config.cpu.affinities

    def is_on(self, affinity: int) -> bool:
        return any(pe.on for pe in self._machine.pes if pe.mpidr == affinity)

    def on(self, affinity: int) -> None:
        """A PE that PSCI has not started would be sent back by the firmware that it starts in."""

    def off(self, affinity: int) -> None:
        """Nor does one stop in a WFI that is not CPU_OFF's."""


def rmm_features(config: MachineConfig) -> Features:
    """What the RMM of a machine offers to its hosts."""
    features = config.rmm.features
    return Features(
        s2sz=features.s2sz,
        lpa2=features.lpa2,
        sve=features.sve,
        sve_vl=features.sve_vl,
        num_bps=features.num_bps,
        num_wps=features.num_wps,
        pmu=features.pmu,
        pmu_num_ctrs=features.pmu_counters,
        hash_sha256=features.sha256,
        hash_sha512=features.sha512,
        gicv3_num_lrs=features.list_registers - 1,
        max_recs_order=features.max_recs_order,
        vmid_bits=features.vmid_bits,
        pa_width=config.cpu.pa_bits,
        rec_aux_count=features.aux_granules,
    )


def _regions(config: MachineConfig) -> list[Region]:
    regions = [
        _region(config, ("memory", name), name, r.base, r.size, r.pas, r.fill, r.retain)
        for name, r in config.memory.items()
    ]
    for name, device in config.devices.items():
        if isinstance(device, Nvm):
            d = device
            regions.append(_region(config, ("devices", name), name, d.base, d.size, d.pas, d.fill, d.retain))
    return regions


def _region(
    config: MachineConfig, key: tuple[str, str], name: str, base: int, size: int, pas: str, fill: int, retain: bool
) -> Region:
    """ConfigError where this computer does not give that much."""
    try:
        return Region(name, base, size, PAS.from_text(pas), fill=fill, retain=retain)
    except (OSError, OverflowError, MemoryError) as error:
        where, why = config.source.where(*key, "size"), getattr(error, "strerror", None) or "not enough memory"
        raise ConfigError(f"{where}: {'.'.join(key)}.size: {size_text(size)} of memory: {why} here") from None
