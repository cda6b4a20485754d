# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine in the hands of a script or a test."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import Any, NamedTuple

from bridge.errors import UserError
from machine.calls import CallRecord
from machine.config.loader import MachineConfig, load
from machine.end import GUEST_EXIT, End
from machine.events import events, select
from machine.inspect import inspect
from machine.inspect.contexts import context_of
from machine.library.calls import HostCalls, Result
from machine.library.consoles import Line, Transcript
from machine.library.expect import Expected, assert_calls
from machine.library.host import Host
from machine.library.worker import Worker
from machine.machine import Machine
from machine.stops import Breakpoint, Stop, Stops
from machine.trace import Tracer
from machine.traces.item import Item
from machine.traces.text import line_of, time_text
from machine.vmm.door import Door
from rmm.abi.named import Interface
from rmm.abi.values import GranuleState, name_of
from rmm.exits import EC_DATA_ABORT_LOWER, EC_SHIFT, sea_syndrome
from rmm.inspect import Step
from rmm.realm import Realm
from rmm.rec import Rec

Source = str | os.PathLike[str] | Mapping[str, Any] | MachineConfig
BOARD = "boards/mini"
HOSTS = ("machine", "script")
KEEP = 100_000  # events
BOUND = 10_000_000_000  # ns of virtual time
_IL = 1 << 25


class NotReached(AssertionError):
    """What was waited for did not come.  end: how the machine ended meanwhile, None where it only took too long."""

    def __init__(self, message: str, end: End | None) -> None:
        super().__init__(message)
        self.end = end


class GranuleInfo(NamedTuple):
    """pas: by the GPT.  state: the RMM's, `DELEGATED`, `RD`, ...; None for memory that cannot be delegated."""

    pas: str
    state: str | None


class Session:
    """One machine, to be run in pieces, looked at and disturbed.

    source: a machine file, a shipped name, a mapping as a machine file has it (over the board `boards/mini`, or over
    the one layer that it names), or a loaded configuration.  overrides: `KEY=VALUE`.  extra: keys over those of the
    source.  host: "machine" runs the host that the machine file names; with "script" nothing runs by itself, and the
    script makes the host's calls.  keep: events that are remembered.  bound: ns of virtual time after which waiting
    ends that was given no bound of its own; a run that is to end by itself has none but `limits` of the machine file.

    UserError for what is wrong with all that.  Close it, or use `with`.
    """

    def __init__(
        self,
        source: Source = "hello-realm",
        *,
        overrides: Sequence[str] = (),
        extra: Mapping[str, Any] | None = None,
        host: str = "machine",
        keep: int = KEEP,
        bound: int = BOUND,
    ) -> None:
        if host not in HOSTS:
            raise UserError(f"host={host!r}: expected one of {', '.join(HOSTS)}")
        config, self.name = _configured(source, overrides, extra)
        self.bound = bound
        self.transcript = Transcript()
        self.machine = Machine(config, _discard, scripted=host == "script")
        self.machine.stdin = False
        self.machine.heard = self._heard
        self._rate = config.clock.rate
        self._kept = _Kept(keep)
        tracer = Tracer(self.machine, _remembered(), self._kept)
        self.machine.trace_with(tracer)
        self.stops = Stops(self.machine, self._stopped)
        self._host_calls = HostCalls(self.machine, self._insns(bound))
        self._door = Door(self.machine)
        self._worker: Worker[End] | None = None
        self.stop: Stop | None = None
        self.end: End | None = None
        self._closed = False

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "new" if self._worker is None else "stopped" if self.end is None else f"{self.end.kind} {self.end.code}"
        return f"<Session {self.name}: {state}, {self.machine.board.insns:,} instructions>"

    def close(self) -> None:
        """Frees the engines.  What was remembered stays."""
        self._closed = True
        if self._worker is not None:
            self._worker.close()
        self.machine.close()

    def _open(self) -> None:
        if self._closed:
            raise UserError(f"{self.name}: the session is closed")

    # Running

    def run(
        self, until: str | None = None, *, within: int | None = None, host: Callable[[], None] | None = None
    ) -> Stop | End:
        """Runs to a stop, or to the end of the machine.

        until: a place as `ccabridge run --break` has it (docs/debugging.md): `rmi:RTT_CREATE`, `status!=SUCCESS`,
        `gpf`, `realm:main`.  within: ns of virtual time, after which there is a stop too.  host: what plays the Normal
        world, if not what the machine file says; only before the first run.
        """
        places = [self.stops.add(until)] if until is not None else []
        if within is not None:
            places.append(self._after(self._insns(within)))
        try:
            return self._go_on(host)
        finally:
            for place in places:
                self.stops.remove(place.number)

    def step(self, count: int = 1) -> Stop | End:
        """So many instructions, of whatever runs.  Time that a machine sleeps through counts as instructions do."""
        if count < 1:
            raise UserError(f"step: {count}: expected 1 or more")
        place = self._after(count)
        try:
            return self._go_on(None)
        finally:
            self.stops.remove(place.number)

    def wait_for(self, text: str | re.Pattern[str], *, console: str | None = None, within: int | None = None) -> Line:
        """Runs until a console has printed `text`, or what matches a pattern; the line, complete or not.

        What was printed since the last wait counts.  console: its label, None for any.  within: ns of virtual time
        (`bound` of the session by default).  Other stops on the way are passed.  NotReached when it does not come.
        """
        __tracebackhide__ = True  # pytest shows the test's own line
        self.transcript.wait(text, console)
        place = None
        try:
            while True:
                line = self.transcript.found()
                if line is not None:
                    return line
                if self.end is not None or (place is not None and place.hits):
                    raise NotReached(self._missing(text, console), self.end)
                if place is None:
                    place = self._after(self._insns(self.bound if within is None else within))
                self._go_on(None)
        finally:
            self.transcript.forget()
            if place is not None:
                self.stops.remove(place.number)

    def _missing(self, text: str | re.Pattern[str], console: str | None) -> str:
        shown = text if isinstance(text, str) else text.pattern
        where = "no console" if console is None else f"console `{console}` never"
        why = "in time" if self.end is None else f"before the end ({self.end.kind} {self.end.code}: {self.end.reason})"
        tail = "".join(f"\n    {line}" for line in self.transcript.lines[-10:]) or " none"
        return f"{where} printed {shown!r} {why}; the last lines:{tail}"

    def type(self, text: str | bytes, *, console: str) -> None:
        """Input for the UART behind a console."""
        self.machine.console(console).feed(text.encode() if isinstance(text, str) else text)

    def _go_on(self, host: Callable[[], None] | None) -> Stop | End:
        self._open()
        if self.end is not None:
            return self.end
        if self._worker is None:
            if self.machine.scripted and host is None:
                raise UserError("the script is this machine's host: nothing runs by itself")
            self._worker = Worker(lambda: self.machine.run(host))
            self.machine.poll = self._worker.check
        elif host is not None:
            raise UserError("the machine runs already: it cannot get another host")
        self.stop = None
        self.end = self._worker.resume()
        if self.end is not None:
            return self.end
        if self.stop is None:
            raise UserError(f"{self.name}: the run was interrupted: it cannot go on")
        return self.stop

    def _stopped(self, stop: Stop) -> None:
        assert self._worker is not None
        self.stop = stop
        self._worker.pause()

    def _heard(self, console: Any, line: str | None) -> None:
        if self.transcript.heard(console, line) and self._worker is not None:
            self.stops.request(f"console `{console.label}`")

    def _insns(self, ns: int) -> int:
        return max(1, ns * self._rate // 1_000_000_000)

    def _after(self, count: int) -> Breakpoint:
        return self.stops.add(f"insn:{self.machine.board.insns + count}")

    @property
    def time(self) -> int:
        """Virtual time, ns."""
        return self.machine.virtual_ns

    # The host's side

    @property
    def rmi(self) -> Interface[Result]:
        """RMI commands as functions: `rmi.GRANULE_DELEGATE(addr=pa).check()`."""
        self._open()
        return self._host_calls.rmi

    def smc(self, fid: int, *words: int) -> tuple[int, ...]:
        """One SMC of the Normal world, X1.. given; X0.. of its result."""
        self._open()
        return self._host_calls.smc(fid, *words)

    def read(self, pa: int, size: int) -> bytes:
        """Memory as the Normal world sees it; HostMemoryFault where the granule protection check refuses."""
        return self._door.read(pa, size)

    def write(self, pa: int, data: bytes) -> None:
        """The same way in."""
        self._door.write(pa, data)

    @cached_property
    def host(self) -> Host:
        """Pages, parameters and RECs for a script that is the host; UserError where it is not."""
        return Host(self)

    # What there is

    def granule(self, pa: int) -> GranuleInfo:
        state = self.machine.rmm.granule_state(pa)
        return GranuleInfo(self.machine.gpt.get(pa).text, name_of(GranuleState, state))

    @property
    def realms(self) -> list[Realm]:
        """By ascending RD; to look at, not to change."""
        return self.machine.rmm.realms()

    @property
    def recs(self) -> list[Rec]:
        """By ascending PA; to look at, not to change."""
        return self.machine.rmm.recs()

    def walk(self, rd: int, ipa: int) -> list[Step]:
        """The entries of a realm's tables on the way to an IPA."""
        return self.machine.rmm.walk(rd, ipa)

    def inspect(self, line: str) -> list[str]:
        """What the prompt's command prints: `gpt`, `granule 0x94000000`, `walk main fetch`, `rim`, `regs`, ..."""
        self._open()
        core = self.machine.running if self.stop is None else self.stop.core
        return inspect(self.machine, context_of(self.machine, core), line)

    @property
    def output(self) -> list[str]:
        """Every complete line of every console, with its label."""
        return [str(line) for line in self.transcript.lines]

    def console(self, label: str) -> list[str]:
        """The complete lines of one console."""
        return self.transcript.of(label)

    # Calls

    @property
    def events(self) -> list[Item]:
        """Calls, REC runs and whatever else is no matter of single accesses, oldest first."""
        return list(self._kept.items)

    @property
    def calls(self) -> list[Result]:
        """Every call of every world, oldest first."""
        return [Result(record) for record in self._records()]

    def _records(self) -> Iterator[CallRecord]:
        return (item.call for item in self._kept.items if item.call is not None)

    def trace(self, last: int = 20) -> list[str]:
        """The last events as the trace shows them."""
        return [f"{time_text(item.insns, self._rate)} {line_of(item)}" for item in [*self._kept.items][-last:]]

    def assert_calls(self, expected: Sequence[Expected | str]) -> None:
        """AssertionError, with what is different, unless these calls were made in this order (others between them).

        expected: `call("rmi_rtt_create", "SUCCESS", level=3)`, or text: `rmi_data_*`, `rmi_rtt_create = ERROR_RTT`.
        """
        __tracebackhide__ = True
        items = [item for item in self._kept.items if item.call is not None]
        assert_calls(items, expected, self._rate, self._kept.dropped)

    def report(self) -> list[str]:
        """How things stand, for a person: the end or the stop, last exits, last lines of the consoles, last events."""
        out = [repr(self)]
        if self.end is not None and self.end.kind != GUEST_EXIT and not self._closed:
            from machine.postmortem import report

            out += report(self.machine, self.end)
        elif self.end is not None:
            out.append(f"end: {self.end.reason}")
        elif self.stop is not None and not self._closed:
            out += [f"stop: {self.stop.text}", *(f"    {line}" for line in self.inspect("world"))]
        exits = [*self.machine.last_exits()]
        if not exits:  # the host is firmware
            exits = [line_of(item) for item in self._kept.items if item.name == "rec_exit"][-1:]
        return [
            *out,
            "last exits:",
            *(f"    {text}" for text in exits),
            "consoles:",
            *(f"    {line}" for line in self.transcript.lines[-20:]),
            "trace:",
            *(f"    {line}" for line in self.trace()),
        ]

    # Faults

    def inject_sea(self, far: int = 0) -> None:
        """What has stopped takes a synchronous external abort of a data access at VA `far`, before it goes on."""
        self._open()
        if self.stop is None or self.stop.core is None or self.end is not None:
            raise UserError("inject_sea: nothing stands still at an instruction")
        core = self.stop.core
        el = core.pstate >> 2 & 3
        core.inject(max(el, 1), sea_syndrome(EC_DATA_ABORT_LOWER << EC_SHIFT | _IL, el), far)

    def interrupt(self, intid: int, level: bool = True) -> None:
        """The wire of an SPI; UserError where the machine has no GIC, or the GIC no such SPI."""
        gic = self.machine.gic
        if gic is None:
            raise UserError("interrupt: this machine has no GIC")
        try:
            gic.set_line(intid, level)
        except IndexError as error:
            raise UserError(f"interrupt: {error}") from None

    def kick(self, pe: int = 0) -> None:
        """The REC that runs on a PE, or is entered there next, leaves to the host by an IRQ."""
        if not 0 <= pe < len(self.machine.pes):
            raise UserError(f"kick: there is no PE {pe}")
        machine = self.machine
        machine.pes[pe].kicked = True
        if machine.pes[pe] is machine.pe:
            machine.board.end_turn_at(machine.board.insns)

    def corrupt(self, pa: int, data: bytes) -> None:
        """Memory of any world changes by itself: no check is made, and no core is asked.  UserError: not RAM."""
        if not self.machine.memory.is_ram(pa, len(data)):
            raise UserError(f"corrupt: no memory at {pa:#x}")
        self.machine.memory.write(pa, data)
        self.machine.board.memory_written(pa, len(data))


class _Kept:
    """The last events; dropped: how many came before."""

    def __init__(self, most: int) -> None:
        self.items: deque[Item] = deque(maxlen=most)
        self.dropped = 0

    def put(self, item: Item) -> None:
        if len(self.items) == self.items.maxlen:
            self.dropped += 1
        self.items.append(item)

    def close(self) -> None:
        """They stay."""


def _remembered() -> frozenset[str]:
    """Events that cost next to nothing; what becomes of granules is said by the calls that move them."""
    told = frozenset(select(["granule", "gpt", "el3_*", "world_switch"]))
    return frozenset(name for name, event in events().items() if not event.cores) - told


def _discard(_text: str) -> None:
    """Consoles are heard elsewhere."""


def _configured(source: Source, overrides: Sequence[str], extra: Mapping[str, Any] | None) -> tuple[MachineConfig, str]:
    if isinstance(source, MachineConfig):
        if overrides or extra:
            raise UserError("a configuration that is loaded takes no overrides")
        return source, source.source.path
    options = [("extra", extra)] if extra else []
    if isinstance(source, Mapping):
        keys = dict(source)
        layers = keys.pop("layers", [BOARD])
        if not isinstance(layers, (list, tuple)) or len(layers) != 1 or not isinstance(layers[0], str):
            raise UserError("layers: a machine given as a mapping stands over one layer, `[NAME]`")
        return load(layers[0], overrides, extra=keys, label="mapping", options=options), layers[0]
    name = os.fspath(source)
    return load(name, overrides, options=options), name
