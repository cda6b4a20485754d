# SPDX-License-Identifier: GPL-2.0-or-later
"""Going back in time: snapshots in memory now and then, and the same instructions again from the nearest one.

A machine's run is the same each time, so that "before" is a place to run to.  Nothing of it reaches the guest; what it
prints again is not shown again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.core import NEVER
from bridge.exits import DebugReason
from machine.end import Restored
from machine.snapshot.schema import Unsupported
from machine.snapshot.state import State, capture, restore
from machine.stops import Breakpoint, Stop, Stops

if TYPE_CHECKING:
    from machine.machine import Machine

INTERVAL = 20_000_000  # instructions from one snapshot to the next, at first
MOST = 8  # snapshots; every second one goes when there are more, and they come half as often
MOST_BYTES = 1 << 30
BEGIN = "the beginning of what is remembered"


class Rewind:
    """Checkpoints of one machine, between its stops and whoever is told of them."""

    def __init__(self, machine: Machine, stops: Stops) -> None:
        self._machine = machine
        self._stops = stops
        self._then = stops.front
        stops.front = self.front
        self._kept: list[State] = []
        self._interval = INTERVAL
        self._goal: _Step | _Continue | None = None
        # Why there is no way back, where there is none.
        self.refused = ""

    # Forward

    def poll(self) -> None:
        """Between turns: a checkpoint, if it is time for one."""
        if self._goal is not None or self.refused or self._machine.frozen is not None:
            return
        if not self._kept or self._machine.board.insns >= self._kept[-1].insns + self._interval:
            self._machine.freeze(self._keep)

    def _keep(self) -> None:
        machine, kept = self._machine, self._kept
        if machine.attached.endpoints.live:
            self.refused = "input may come from outside, and would not come again"
        try:
            kept.append(capture(machine))
        except Unsupported as error:
            self.refused = str(error)
        while len(kept) > MOST or (len(kept) > 2 and sum(map(_bytes, kept)) > MOST_BYTES):
            del kept[1::2]
            self._interval *= 2

    # Back

    @property
    def possible(self) -> str:
        """Empty, or why there is no going back."""
        return self.refused or ("" if self._kept else "nothing has run yet")

    def step(self) -> None:
        """One instruction back from where the machine stands: the stop comes by `Stops.front`."""
        self._begin(_Step(self, self._machine.board.insns))

    def back(self) -> None:
        """Back to the stop before this one."""
        self._begin(_Continue(self, self._machine.board.insns, len(self._kept) - 1))

    def back_from_end(self, only: Breakpoint) -> None:
        """To the last time that a run, which is over, came to a place: it is to be run again."""
        machine = self._machine
        machine.quiet_until = max(machine.quiet_until, machine.board.insns + 1)
        self._goal = _Continue(self, machine.board.insns + 1, len(self._kept) - 1, f"breakpoint {only.number} (")
        machine.frozen = None
        self._put(self._kept[-1])

    def ended(self) -> bool:
        """The run is over; whether it is to be run again, for something that is still looked for."""
        if not isinstance(self._goal, _Continue):
            return False
        where = self._goal.passed()
        if where is not None:
            self._machine.frozen = None
            self._put(where)
        return where is not None

    def _begin(self, goal: _Step | _Continue) -> None:
        machine = self._machine
        machine.quiet_until = max(machine.quiet_until, machine.board.insns)
        self._goal = goal
        goal.start()

    def seek(self, state: State) -> None:
        """Goes on from there, as soon as it can."""
        machine = self._machine

        def put() -> None:
            self._put(state)
            raise Restored

        machine.freeze(put)

    def _put(self, state: State) -> None:
        restore(self._machine, state)
        self._stops.rewound(state.insns)
        assert self._goal is not None
        self._stops.count_to(self._goal.target)

    def before(self, insns: int) -> int | None:
        """Number of the last checkpoint before an instruction count."""
        return next((at for at in reversed(range(len(self._kept))) if self._kept[at].insns < insns), None)

    def checkpoint(self, number: int) -> State:
        return self._kept[number]

    @property
    def now(self) -> int:
        return self._machine.board.insns

    def front(self, stop: Stop) -> None:
        if self._goal is None:
            self._then(stop)
            return
        found = self._goal.reached(stop)
        if found is None:
            if self._machine.frozen is None:
                self._stops.count_to(self._goal.target)
        else:
            self._goal = None
            self._stops.count_to(None)
            self._then(found)


def _bytes(state: State) -> int:
    return sum(len(pages.data) for pages in state.memory)


def _begin(stop: Stop) -> Stop:
    return stop._replace(text=BEGIN, reasons=DebugReason.ASKED)


class _Step:
    """To the last place before `until` at which an instruction begins.

    That is one instruction less, unless time has been moved on in between (WFI): then it is looked for, from ever
    earlier on, in single steps.
    """

    def __init__(self, rewind: Rewind, until: int) -> None:
        self._rewind = rewind
        self._until = until
        self._width = 1
        self._last: int | None = None  # the place looked for, as far as is known
        self._final = False
        self._from = rewind.before(until)

    def start(self) -> None:
        at = 0 if self._from is None else self._from
        state = self._rewind.checkpoint(at)
        if self._from is None:
            self._wanted, self._final, self._last = state.insns, True, state.insns
        elif self._final:
            assert self._last is not None
            self._wanted = self._last
        else:
            self._wanted = max(self._until - self._width, state.insns)
        self._rewind.seek(state)

    @property
    def target(self) -> int:
        """The instruction count to stop at next."""
        return self._wanted

    def reached(self, stop: Stop) -> Stop | None:
        now = self._rewind.now
        if now < self._wanted:
            return None
        if self._final:
            return _begin(stop) if self._from is None else _stepped(stop)
        if now >= self._until:
            self._final = self._last is not None
            self._width *= 16
            self.start()
            return None
        if now == self._until - 1:
            return _stepped(stop)
        self._last = now
        self._wanted = now + 1
        return None


def _stepped(stop: Stop) -> Stop:
    return stop._replace(text="step", reasons=DebugReason.STEP)


class _Continue:
    """To the last stop before `until`: first all of them are counted, from one checkpoint after the other."""

    def __init__(self, rewind: Rewind, until: int, newest: int, only: str = "") -> None:
        self._rewind = rewind
        self._only = only
        self._until = until
        self._from = newest
        self._last: int | None = None
        self._final = self._at_begin = False
        while self._from > 0 and rewind.checkpoint(self._from).insns >= until:
            self._from -= 1

    def start(self) -> None:
        self._rewind.seek(self._rewind.checkpoint(self._from))

    @property
    def target(self) -> int:
        """The instruction count to stop at next.  The place itself stops by what it is: a count would come before."""
        if self._at_begin:
            return self._rewind.checkpoint(self._from).insns
        return NEVER if self._final else self._until

    def passed(self) -> State | None:
        """Everything up to `until` has been seen: where to go on; None at the place itself."""
        if self._final:
            return None
        if self._last is not None:
            self._final, self._until = True, self._last
        elif self._from > 0:
            self._until = self._rewind.checkpoint(self._from).insns
            self._from -= 1
        else:
            self._final = self._at_begin = True
        return self._rewind.checkpoint(self._from)

    def reached(self, stop: Stop) -> Stop | None:
        now = self._rewind.now
        if self._at_begin:
            return _begin(stop)
        real = bool(stop.text) and self._only in stop.text
        if self._final:
            if real and now >= self._until:
                return stop
        elif now < self._until:
            if real:
                self._last = now
        elif self.passed() is not None:
            self.start()
        return None
