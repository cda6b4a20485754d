# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine as GDB sees it: contexts are threads, memory is by VA in a thread's present translation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bridge.core import EngineError
from bridge.errors import UserError
from bridge.exits import DebugReason
from bridge.gdb.debuggee import CORE, PC, Thread
from bridge.gdb.server import Killed, Server
from machine.end import GUEST_EXIT, End
from machine.inspect import COMMANDS, inspect
from machine.inspect.code import EL1, EL1_REST, EL2, EL2_REST, read_virtual
from machine.inspect.contexts import Context, context_of, contexts, register
from machine.rewind import BEGIN, Rewind
from machine.stops import WORLDS, Breakpoint, Stop, Stops

if TYPE_CHECKING:
    from machine.machine import Machine

SP, CPSR = 31, 33
MAX_MONITOR = 8000


class GdbTarget:
    """bridge.gdb.debuggee.Debuggee of a machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.stops: Stops | None = None
        self.stopped: Context | None = None
        self._numbers: dict[tuple[str, int], int] = {}
        self._points: frozenset[int] = frozenset()
        self._world: str | None = None  # that breakpoints are for
        self._points_world: str | None = None
        self._watches: dict[tuple[int, int, bool, bool], Breakpoint] = {}
        self.highest = machine.config.boot.el

    @property
    def system(self) -> Sequence[str]:
        return (*EL1, *EL1_REST, *EL2, *EL2_REST)

    def _number(self, context: Context) -> int:
        return self._numbers.setdefault(context.key, len(self._numbers) + 1)

    def _context(self, thread: int) -> Context | None:
        return next((one for one in contexts(self.machine) if self._number(one) == thread), None)

    def threads(self) -> list[Thread]:
        return [Thread(self._number(one), one.title) for one in contexts(self.machine)]

    def current(self) -> int:
        here = self.stopped or context_of(self.machine, self.machine.running)
        alive = contexts(self.machine)
        if here is not None and any(one.key == here.key for one in alive):
            return self._number(here)
        return self._number(alive[0]) if alive else 1

    def registers(self, thread: int) -> list[int | None]:
        context = self._context(thread)
        if context is None:
            return [None] * (len(CORE) + len(self.system))
        x, sp, pc, pstate = context.general()
        out: list[int | None] = [*x, sp, pc, pstate]
        levels = EL1 + EL1_REST + (EL2 + EL2_REST if context.key[0] == "pe" and self.highest == 2 else ())
        core = context.core
        return out + [register(core, name) if core is not None and name in levels else None for name in self.system]

    def set_register(self, thread: int, index: int, value: int) -> bool:
        context = self._context(thread)
        if context is None or context.core is None:
            return False
        core = context.core
        if index < SP:
            core.set_x(index, [value])
        elif index == SP:
            core.sp = value
        elif index == PC:
            core.pc = value
        elif index == CPSR:
            if value & 0x1F not in ((0, 4, 5) if core.pstate >> 2 & 3 < 2 else (0, 4, 5, 8, 9)):
                return False
            core.pstate = value
        else:
            from bridge.arch.sysregs import find

            encoding = find(self.system[index - len(CORE)])
            try:
                core.set_sysreg(encoding or 0, value)
            except EngineError:
                return False
        return True

    def read(self, thread: int, va: int, size: int) -> bytes | None:
        context = self._context(thread)
        if context is None:
            return None
        out = b""
        while size:
            part = min(size, 4096 - (va & 0xFFF))
            data = read_virtual(self.machine, context, va, part)
            if data is None:
                break
            out += data
            va, size = va + part, size - part
        return out or None

    def write(self, thread: int, va: int, data: bytes) -> bool:
        context = self._context(thread)
        if context is None or context.core is None or read_virtual(self.machine, context, va, len(data)) is None:
            return False
        while data:
            part = min(len(data), 4096 - (va & 0xFFF))
            at = context.core.translate(va) or context.core.translate(va, 2)
            assert at is not None  # it was read
            self.machine.memory.write(at[0], data[:part])
            self.machine.board.memory_written(at[0], part)
            va, data = va + part & (1 << 64) - 1, data[part:]
        return True

    def set_breakpoints(self, addresses: frozenset[int]) -> None:
        assert self.stops is not None
        changed = self._points_world != self._world
        for va in sorted(self._points if changed else self._points - addresses):
            self.stops.point(va, False, self._points_world)
        for va in sorted(addresses if changed else addresses - self._points):
            self.stops.point(va, True, self._world)
        self._points, self._points_world = addresses, self._world

    def has_point(self, stop: Stop) -> bool:
        """A breakpoint of GDB's: it goes on from one that it does not know."""
        return stop.core is not None and stop.core.pc in self._points

    def set_watch(self, va: int, size: int, *, read: bool, write: bool, on: bool) -> bool:
        assert self.stops is not None
        key = va, size, read, write
        if on and key not in self._watches:
            try:
                self._watches[key] = self.stops.watchpoint("va", va, size, read=read, write=write)
            except UserError:
                return False
        elif not on and key in self._watches:
            self.stops.remove(self._watches.pop(key).number)
        return True

    def step(self, thread: int) -> None:
        context = self._context(thread)
        if context is not None and context.core is not None:
            context.core.step()

    def knows(self, stop: Stop) -> bool:
        """GDB asked for this stop by itself and has words of its own for it."""
        own = stop.text == "step" or stop.text.startswith("breakpoint at ")
        return own or (stop.watch is not None and stop.watch in self._watches.values())

    def monitor(self, thread: int, line: str) -> str:
        assert self.stops is not None
        words = line.split()
        try:
            if words[:1] == ["only"]:
                return self._only(words[1:])
            if words[:1] == ["break"]:
                return f"{self.stops.add(' '.join(words[1:]))}\n" if words[1:] else self._list()
            if words[:1] == ["delete"] and len(words) == 2 and words[1].isdecimal():
                self.stops.remove(int(words[1]))
                return ""
            if words[:1] in ([], ["help"]):
                return _help()
            lines = inspect(self.machine, self._context(thread), line)
        except UserError as error:
            return f"{error}\n"
        text = "\n".join(lines) + "\n"
        return text if len(text) <= MAX_MONITOR else text[:MAX_MONITOR] + "\n… and more\n"

    def _list(self) -> str:
        assert self.stops is not None
        hidden = self._watches.values()
        return "".join(f"{one}\n" for one in self.stops.breakpoints.values() if one not in hidden)

    def _only(self, words: list[str]) -> str:
        if len(words) != 1 or words[0] not in (*WORLDS, "all"):
            return "usage: only normal|secure|realm|all\n"
        self._world = None if words[0] == "all" else words[0]
        return f"GDB's breakpoints are for {'all worlds' if self._world is None else 'the ' + self._world + ' world'}\n"

    def detach(self) -> None:
        if self.stops is None:
            return
        self.set_breakpoints(frozenset())
        for stop in self._watches.values():
            self.stops.remove(stop.number)
        self._watches.clear()
        for core in self.machine.cores:
            core.step(False)


def _help() -> str:
    own = (
        "only normal|secure|realm|all: whose code GDB's breakpoints are in",
        "break PLACE: stop at rmi:GLOB, status!=NAME, gpf, ipa:ADDR, granule:PA, insn:N, …",
        "delete NUMBER: of those",
    )
    return "\n".join([*(f"{one.usage}: {one.doc}" for one in COMMANDS.values()), *own]) + "\n"


class GdbFront:
    """Whoever is told of a machine's stops: a GDB at a socket."""

    def __init__(self, machine: Machine, address: tuple[str, int], *, wait: bool, say: Callable[[str], None]) -> None:
        self.target = GdbTarget(machine)
        self.server = Server(*address, self.target)
        self.stops = self.target.stops = Stops(machine, self.front)
        self._machine = machine
        self._wait = wait
        self.rewind = Rewind(machine, self.stops)
        self._say = say
        self._resumed = machine.board.insns > 0
        if wait and self._resumed:  # in the middle of a turn, perhaps
            self.stops.wait_first()
        if not wait:
            say("ccabridge: GDB: {}:{}".format(*self.server.address))

    def poll(self) -> None:
        """Between turns."""
        self.rewind.poll()
        if self._wait and not self._resumed:
            self._accept()
            self.stops.asked("before the first instruction")
            return
        why = self.server.poll()
        if why is not None:
            self.stops.asked(why)

    def _accept(self) -> None:
        """Not before the machine is built: a GDB has two seconds of patience."""
        self._wait = False
        self._say("ccabridge: waiting for GDB: target remote {}:{}".format(*self.server.address))
        self.server.accept(None)

    def front(self, stop: Stop) -> None:
        if self._wait:
            self._accept()
        self.target.stopped = context_of(self._machine, stop.core)
        text = "" if self.target.knows(stop) else stop.text
        try:
            while back := self.server.serve(self._reply(stop), text):
                text = self.rewind.possible
                if not text:
                    (self.rewind.step if back == "s" else self.rewind.back)()
                    return
        except Killed:
            raise End(GUEST_EXIT, "killed by GDB", code=0, core=stop.core) from None
        finally:
            self.target.stopped = None

    def _reply(self, stop: Stop) -> bytes:
        interrupted = stop.reasons is DebugReason.ASKED and stop.text == "interrupted"
        what = b""
        if stop.reasons & DebugReason.WATCH and stop.watch is not None and stop.watch.space == "va":
            name = {(False, True): b"watch", (True, False): b"rwatch"}.get(
                (stop.watch.read, stop.watch.write), b"awatch"
            )
            what = b"%s:%x;" % (name, stop.address)
        elif stop.text == BEGIN:
            what = b"replaylog:begin;"
        elif stop.reasons & DebugReason.BREAK and self.target.has_point(stop):
            what = b"swbreak:;"
        return b"T%02xthread:%x;%s" % (2 if interrupted else 5, self.target.current(), what)

    def ended(self, end: End) -> None:
        """The run is over: what went wrong can be looked at before GDB is told the exit code."""
        if end.kind != GUEST_EXIT and self.server.connected:
            self.target.stopped = context_of(self._machine, end.core)
            try:
                self.server.serve(b"T06thread:%x;" % self.target.current(), f"ccabridge: {end.kind}: {end.reason}")
            except Killed:
                pass  # it is over anyway
        self.server.exited(end.code)

    def close(self) -> None:
        self.target.stops = None
        self.server.close()
