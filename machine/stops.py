# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a debugger stops the machine: at addresses, accesses, counts, and at what calls mean.

Nothing here changes what a guest sees: whoever is told of a stop is called in the middle of the run, and the run goes
on when that returns.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from bridge.core import NEVER, EngineError
from bridge.errors import UserError, did_you_mean
from bridge.exits import DebugReason
from bridge.plugin import lib
from machine.calls import CallRecord
from machine.events import calls, constants, events

if TYPE_CHECKING:
    from bridge.core import Core
    from machine.calls import Listener
    from machine.machine import Machine
    from rmm.abi.call import Call
    from rmm.observer import Observer

HISTORY = 16  # transitions remembered for each granule
MEASURED = frozenset({"RMI_REALM_CREATE", "RMI_DATA_CREATE", "RMI_REC_CREATE", "RMI_RTT_INIT_RIPAS"})
SPACES = {"va": lib.CCA_WATCH_VA, "ipa": lib.CCA_WATCH_IPA, "pa": lib.CCA_WATCH_PA}
INTERFACES = frozenset({"rmi", "rsi", "psci", "ffa", "sip"})
WORLDS = ("normal", "secure", "realm")
_WATCH = re.compile(r"(va|ipa|pa):(\w+)(?:\+(\w+))?(?:\s+(read|write|access))?", re.IGNORECASE)
_GRANULE = re.compile(r"granule:(\w+)(?:\s+transition)?", re.IGNORECASE)
_CALL = re.compile(r"(?:(\w+):([\w*?\[\]]+))?\s*(?:status\s*(==|!=)\s*(\w+))?", re.IGNORECASE)
_MAX = 1 << 64
FIRST = "before the first instruction that is left to run"


class Stop(NamedTuple):
    """Why the machine stands still.  core: what was about to run, None between turns.  reasons: DebugReason."""

    text: str
    core: Core | None
    reasons: DebugReason
    watch: Breakpoint | None = None
    address: int = 0  # of the access that a watchpoint is about


class Breakpoint:
    """One place to stop at, as it was written.  kind: address, watch, call, granule, gpf, insn or event."""

    def __init__(self, number: int, text: str, kind: str) -> None:
        self.number = number
        self.text = text
        self.kind = kind
        self.world: str | None = None
        self.addresses: list[int] = []
        self.space = ""
        self.first = self.last = 0
        self.read = self.write = True
        self.interface = self.glob = ""
        self.status: tuple[bool, str] | None = None  # (shall be equal, name)
        self.hits = 0

    def __str__(self) -> str:
        return f"{self.number}: {self.text}, hit {self.hits} time{'' if self.hits == 1 else 's'}"

    __repr__ = __str__


class Change(NamedTuple):
    """A granule changed its state: when, from what to what, and by which call (None while that is not over)."""

    insns: int
    old: int
    new: int
    call: CallRecord | None


class _Granules:
    """The observer of granules: tells the stops, and whoever was told before."""

    def __init__(self, stops: Stops, then: Observer | None) -> None:
        self._stops = stops
        self._then = then

    def granule(self, pa: int, old: int, new: int) -> None:
        if self._then is not None:
            self._then.granule(pa, old, new)
        self._stops.changed(pa, old, new)

    def call(
        self,
        decl: Call | None,
        args: tuple[int, ...],
        result: tuple[int, ...],
        condition: str | None,
        rec_pa: int | None,
    ) -> None:
        """Granules make no calls."""

    def rec_enter(self, rec_pa: int) -> None:
        """Nor do they run RECs."""

    def rec_exit(self, rec_pa: int, reason: str) -> None:
        """Nor do they run RECs."""


class Stops:
    """All breakpoints of one machine, and the call to whoever debugs it.

    front: told of each stop; the machine goes on when it returns.
    """

    def __init__(self, machine: Machine, front: Callable[[Stop], None]) -> None:
        self.machine = machine
        self.front = front
        self.breakpoints: dict[int, Breakpoint] = {}
        # What a snapshot's machine had seen, and what comes on top.
        self.history: dict[int, deque[Change]] = {}
        self.measured: list[CallRecord] = []
        if machine.past:
            from machine.snapshot.past import unpack

            self.history, self.measured = unpack(machine.past)
        self.wait = False  # stop before the first instruction
        self.standing = False  # within `reached`: nothing else runs
        self._number = 0
        self._until = NEVER
        self._reached: list[str] = []
        self._changes: list[tuple[int, Change]] = []
        self._points: dict[str | None, set[int]] = {}
        self._next: Listener | None = machine.calls.listener
        machine.stops = self
        machine.calls.listener = self
        self.power_up()

    # What may be asked for

    def add(self, text: str) -> Breakpoint:
        """A breakpoint as `--break` has it; UserError for what is none."""
        self._number += 1
        stop = parse(self._number, text.strip())
        if stop.kind == "symbol":
            self._resolve(stop)
        if stop.kind == "address":
            for address in stop.addresses:
                self.point(address, True, stop.world)
        elif stop.kind == "watch":
            self._watch(stop)
        elif stop.kind == "gpf":
            self.machine.board.stop_on_gpf(True)
        elif stop.kind == "insn":
            self._next_count([stop.first])
        self.breakpoints[stop.number] = stop
        return stop

    def remove(self, number: int) -> None:
        """UserError when there is none of that number."""
        stop = self.breakpoints.pop(number, None)
        if stop is None:
            raise UserError(f"there is no breakpoint {number}")
        rest = self.breakpoints.values()
        if stop.kind == "address":
            kept = {
                a for other in rest if other.kind == "address" and other.world == stop.world for a in other.addresses
            }
            for address in stop.addresses:
                if address not in kept:
                    self.point(address, False, stop.world)
        elif stop.kind == "watch":
            self.machine.board.unwatch(number)
        elif stop.kind == "gpf":
            self.machine.board.stop_on_gpf(any(other.kind == "gpf" for other in rest))
        elif stop.kind == "insn":
            self._next_count([])

    def point(self, va: int, on: bool, world: str | None = None) -> None:
        """A breakpoint at a VA of the cores of a world, or of all."""
        points = self._points.setdefault(world, set())
        (points.add if on else points.discard)(va)
        for core in self.machine.cores:
            if world in (None, world_of(core)):
                core.set_point(va, any(va in self._points.get(key, ()) for key in (None, world_of(core))))

    def watchpoint(self, space: str, first: int, size: int, *, read: bool, write: bool) -> Breakpoint:
        """As `add`, from numbers."""
        how = "" if read and write else " read" if read else " write"
        return self.add(f"{space}:{first:#x}+{size:#x}{how}")

    def _watch(self, stop: Breakpoint) -> None:
        try:
            self.machine.board.watch(
                stop.number, SPACES[stop.space], stop.first, stop.last, read=stop.read, write=stop.write
            )
        except EngineError as error:
            raise UserError(f"{stop.text}: {error}") from None

    def _resolve(self, stop: Breakpoint) -> None:
        found = self.machine.symbols.find(stop.glob, stop.world)
        if not found:
            where = f" in the {stop.world} world" if stop.world else ""
            raise UserError(f"{stop.text}: no loaded image has a symbol {stop.glob}{where}")
        worlds = {world for world, _ in found}
        if len(worlds) > 1:
            raise UserError(
                f"{stop.text}: several worlds have it: say " + " or ".join(f"{w}:{stop.glob}" for w in worlds)
            )
        stop.kind, stop.world, stop.addresses = "address", found[0][0], [address for _, address in found]

    def count_to(self, insns: int | None) -> None:
        """Stops at this instruction count, too, without a text; at once where it is passed already."""
        self._until = NEVER if insns is None else insns
        if self._until <= self.machine.board.insns:
            self.machine.board.stop_next()
        self._next_count([])

    def rewound(self, insns: int) -> None:
        """The machine is at an earlier instruction again: what came after that has not happened yet."""
        for pa in list(self.history):
            kept = [change for change in self.history[pa] if change.insns <= insns]
            self.history[pa] = deque(kept, maxlen=HISTORY)
        self.measured[:] = [record for record in self.measured if record.insns <= insns]
        self._changes.clear()
        self._reached.clear()
        for stop in self.breakpoints.values():
            if stop.kind == "insn" and stop.first >= insns:
                stop.hits = 0

    def _next_count(self, more: list[int]) -> None:
        now = self.machine.board.insns
        counts = [stop.first for stop in self.breakpoints.values() if stop.kind == "insn"] + more + [self._until]
        self.machine.board.stop_at(min((count for count in counts if count > now), default=NEVER))

    # What happens

    def attach(self, core: Core) -> None:
        """A new core has the breakpoints of its world."""
        for world in (None, world_of(core)):
            for va in sorted(self._points.get(world, ())):
                core.set_point(va, True)

    def power_up(self) -> None:
        """The machine has an RMM of its own again."""
        granules = self.machine.rmm.granules
        granules.observer = _Granules(self, granules.observer)
        for core in self.machine.cores:
            self.attach(core)

    def wait_first(self) -> None:
        """Stops before the first instruction: of a machine that has run already, in the middle of whatever it runs."""
        if self.machine.board.insns:
            self.request(FIRST)
        else:
            self.wait = True

    def poll(self) -> None:
        """Between turns: the stop before the first instruction."""
        if self.wait:
            from machine.inspect.contexts import current

            self.wait = False
            here = current(self.machine)
            core = None if here is None else here.core
            self.front(Stop(FIRST, core, DebugReason.ASKED))

    def request(self, text: str) -> None:
        """Whatever runs next stops before its first instruction."""
        self._reached.append(text)
        self.machine.board.stop_next()

    def asked(self, text: str) -> None:
        """Somebody outside wants to look; only between turns."""
        self.front(Stop(text, self.machine.running, DebugReason.ASKED))

    def reached(self, core: Core) -> None:
        """A core has stopped with DEBUG."""
        if self.machine.frozen is not None:  # that is what it was stopped for
            return
        exit_ = core.exit
        reasons = DebugReason(exit_.debug)
        texts: list[str] = []
        watch = None
        if reasons & DebugReason.ASKED:
            texts += self._reached
        if reasons & DebugReason.BREAK:
            texts += [self._hit(stop) for stop in self._at(core)] or [f"breakpoint at {core.pc:#x}"]
        if reasons & DebugReason.COUNT:
            texts += [
                self._hit(stop)
                for stop in self.breakpoints.values()
                if stop.kind == "insn" and stop.first <= self.machine.board.insns and not stop.hits
            ]
            self._next_count([])
        if reasons & DebugReason.WATCH:
            watch = self.breakpoints.get(exit_.watch)
            what = "write to" if exit_.is_write else "read of"
            name = self._hit(watch) if watch is not None else "watchpoint"
            texts.append(
                f"{name}: {what} VA {exit_.far:#x}, PA {exit_.pa:#x}"
                if watch is None or watch.space == "va"
                else f"{name}: {what} IPA {exit_.ipa:#x}, PA {exit_.pa:#x}"
            )
        if reasons & DebugReason.GPF:
            texts += [self._hit(stop) for stop in self.breakpoints.values() if stop.kind == "gpf"]
            gpi = self.machine.gpt.get(exit_.pa).text
            texts.append(f"granule protection fault: PA {exit_.pa:#x} is {gpi}, VA {exit_.far:#x}")
        if reasons & DebugReason.STEP:
            texts.append("step")
        self._reached.clear()
        self.standing = True
        try:
            self.front(Stop("; ".join(texts), core, reasons, watch, int(exit_.far)))
        finally:
            self.standing = False

    def stage2_fault(self, core: Core) -> None:
        """A realm's access has faulted in stage 2: `ipa:` watches that, too."""
        exit_ = core.exit
        ipa = int(exit_.ipa) & ~0xFFF | int(exit_.far) & 0xFFF
        write = exit_.esr >> 26 & 0x3F == 0x24 and exit_.esr >> 6 & 1
        for stop in self.breakpoints.values():
            watches = stop.kind == "watch" and stop.space == "ipa" and (stop.write if write else stop.read)
            if watches and stop.first <= ipa <= stop.last:
                what = f"{self._hit(stop)}: stage-2 fault at IPA {ipa:#x}"
                self.front(Stop(what, core, DebugReason.ASKED, stop, ipa))
                return

    def _at(self, core: Core) -> list[Breakpoint]:
        pc, world = core.pc, world_of(core)
        return [
            stop
            for stop in self.breakpoints.values()
            if stop.kind == "address" and pc in stop.addresses and stop.world in (None, world)
        ]

    def _hit(self, stop: Breakpoint) -> str:
        stop.hits += 1
        return f"breakpoint {stop.number} ({stop.text})"

    def _stop_next(self, stop: Breakpoint, what: str) -> None:
        self.request(f"{self._hit(stop)}: {what}")

    def changed(self, pa: int, old: int, new: int) -> None:
        """A granule has got another state (rmm.abi.values.GranuleState)."""
        self._changes.append((pa, Change(self.machine.board.insns, old, new, None)))
        for stop in self.breakpoints.values():
            if stop.kind == "granule" and stop.first == pa:
                from rmm.abi.values import GranuleState, name_of

                self._stop_next(stop, f"{name_of(GranuleState, old)} → {name_of(GranuleState, new)}")

    # machine.calls.Listener

    def call(self, record: CallRecord) -> None:
        if self._next is not None:
            self._next.call(record)
        for pa, change in self._changes:
            kept = self.history.setdefault(pa, deque(maxlen=HISTORY))
            kept.append(change._replace(call=record))
        self._changes.clear()
        if record.decl is not None and record.decl.name in MEASURED and record.result and record.result[0] == 0:
            self.measured.append(record)
        for stop in self.breakpoints.values():
            if stop.kind == "call" and _matches(stop, record):
                from machine.trace import describe

                self._stop_next(stop, describe(record)[1])

    def event(self, name: str, insns: int, text: str, depth: int) -> None:
        if self._next is not None:
            self._next.event(name, insns, text, depth)
        for stop in self.breakpoints.values():
            if stop.kind == "event" and fnmatchcase(name, stop.glob):
                self._stop_next(stop, f"{name}: {text}")


def world_of(core: Core) -> str:
    """`normal`, `secure` or `realm`, as `Symbols` names them."""
    first = core.name.partition(" ")[0]
    return "realm" if first == "rec" else first


def number(text: str) -> int | None:
    """An address or a count: 0x…, or decimal; underscores allowed."""
    try:
        value = int(text, 0)
    except ValueError:
        return None
    return value if 0 <= value < _MAX else None


def parse(index: int, text: str) -> Breakpoint:
    """One breakpoint out of its text; symbols are left to be looked up (kind `symbol`).  UserError."""
    lower = text.lower()
    if lower == "gpf":
        return Breakpoint(index, text, "gpf")
    if match := _GRANULE.fullmatch(text):
        stop = Breakpoint(index, text, "granule")
        stop.first = _number(text, match[1]) & ~0xFFF
        return stop
    if match := _WATCH.fullmatch(text):
        stop = Breakpoint(index, text, "watch")
        stop.space, stop.first = match[1].lower(), _number(text, match[2])
        size = _number(text, match[3]) if match[3] else 1
        stop.last = stop.first + size - 1
        if not size >= 1 or stop.last >= _MAX:
            raise UserError(f"{text}: the range is empty, or ends beyond 64 bits")
        how = (match[4] or "access").lower()
        stop.read, stop.write = how != "write", how != "read"
        return stop
    head, _, tail = text.partition(":")
    if head.lower() == "insn":
        stop = Breakpoint(index, text, "insn")
        stop.first = _number(text, tail)
        return stop
    if head.lower() == "event" and tail:
        stop = Breakpoint(index, text, "event")
        stop.glob = tail.lower()
        _known(text, stop.glob, list(events()), "event")
        return stop
    match = _CALL.fullmatch(text)
    if match and ((match[1] or "").lower() in INTERFACES or (match[1] is None and match[3] is not None)):
        stop = Breakpoint(index, text, "call")
        stop.interface, stop.glob = (match[1] or "*").lower(), (match[2] or "*").lower()
        stop.status = None if match[3] is None else (match[3] == "==", match[4].upper())
        _known(text, stop.glob, _calls_of(stop.interface), "call")
        if stop.status is not None and stop.status[1] not in constants() | {"ERROR"}:
            raise UserError(f"{text}: {match[4]!r} is no status{did_you_mean(stop.status[1], sorted(constants()))}")
        return stop
    stop = Breakpoint(index, text, "symbol")
    if tail and head.lower() in WORLDS:
        stop.world, text = head.lower(), tail
    address = number(text)
    if address is not None:
        stop.kind, stop.addresses = "address", [address]
    elif re.fullmatch(r"[\w.$@]+", text):
        stop.glob = text
    else:
        raise UserError(
            f"{stop.text!r} is no place to stop at: expected rmi:GLOB, rsi:GLOB, psci:GLOB, status!=NAME, gpf, "
            "ipa:ADDR, pa:ADDR write, va:ADDR, granule:PA, insn:N, event:GLOB, a symbol or an address"
        )
    return stop


def _known(text: str, glob: str, names: list[str], what: str) -> None:
    """UserError for a glob that can match nothing."""
    if not any(fnmatchcase(name, glob) for name in names):
        raise UserError(f"{text}: no {what} matches{did_you_mean(glob, names)}")


def _calls_of(interface: str) -> list[str]:
    """What `_matches` compares with: short and full names of an interface's calls, in lower case."""
    found = [decl for decl in calls().values() if interface in ("*", decl.interface.lower())]
    return [name.lower() for decl in found for name in (decl.short, decl.name)] + ["unknown"]


def _number(text: str, digits: str) -> int:
    value = number(digits)
    if value is None:
        raise UserError(f"{text}: {digits!r} is no number")
    return value


def _matches(stop: Breakpoint, record: CallRecord) -> bool:
    decl = record.decl
    interface, names = ("", ("unknown",)) if decl is None else (decl.interface.lower(), (decl.short, decl.name))
    if stop.interface not in ("*", interface) or not any(fnmatchcase(name.lower(), stop.glob) for name in names):
        return False
    if stop.status is None:
        return True
    if not record.result:
        return False  # the call made the REC exit: it has no status yet
    equal, name = stop.status
    return (status_of(record) == name) is equal


def status_of(record: CallRecord) -> str:
    """The name of a call's status: SUCCESS, ERROR_INPUT, …; NOT_SUPPORTED for -1."""
    from rmm.abi.text import status_text

    decl = record.decl
    if decl is None:
        return "NOT_SUPPORTED"
    if record.condition is None and (not decl.status or decl.interface in ("FFA", "SIP")):
        return "SUCCESS"
    if decl.interface in ("FFA", "SIP"):
        return "ERROR"
    text = status_text(decl.interface, record.result[0]).partition("(")[0]
    return "NOT_SUPPORTED" if text == "-1" else text
