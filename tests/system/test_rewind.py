# SPDX-License-Identifier: GPL-2.0-or-later
"""Reverse execution: a step back undoes a step, and what was printed is printed once."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from machine.config.loader import load
from machine.machine import Machine
from machine.rewind import BEGIN, Rewind
from machine.stops import Stop, Stops
from tests.system.cli import ccabridge

Place = tuple[int, str, int]
"""(instructions retired, context, PC)"""


class Bench:
    """A machine whose stops are answered by a list of actions, one after the other."""

    def __init__(self, name: str, *breaks: str) -> None:
        self.output: list[str] = []
        self.machine = Machine(load(name, []), self.output.append)
        self.places: list[Place] = []
        self.texts: list[str] = []
        self.actions: list[Callable[[Stop], None]] = []
        self.stops = Stops(self.machine, self._front)
        self.rewind = Rewind(self.machine, self.stops)
        self.machine.poll = self.rewind.poll
        for text in breaks:
            self.stops.add(text)

    def _front(self, stop: Stop) -> None:
        assert stop.core is not None
        self.places.append((self.machine.board.insns, stop.core.name, stop.core.pc))
        self.texts.append(stop.text)
        if self.actions:
            self.actions.pop(0)(stop)

    def on(self, stop: Stop) -> None:
        """To the place after this one."""
        self.stops.count_to(self.machine.board.insns + 1)

    def back(self, stop: Stop) -> None:
        assert self.rewind.possible == ""
        self.rewind.step()

    def back_to_stop(self, stop: Stop) -> None:
        self.rewind.back()

    def run(self) -> tuple[str, int, str, int, str]:
        try:
            end = self.machine.run()
            assert not self.actions
            return end.kind, end.code, end.reason, self.machine.board.insns, "".join(self.output)
        finally:
            self.machine.close()


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("hello-realm", 91_000),  # the Normal world enters the REC
        ("irqs", 9_000_000),  # eight PEs, interrupts, WFI
        ("smp", 900_000),  # four RECs
        ("secure-irqs", 1_000_000),
        ("mini-linux", 150_000),  # the Python VMM
        ("power", 1_200_000),  # RECs sleep until their timers
    ],
)
def test_reverse_step__undoes_a_step(name: str, at: int) -> None:
    """Where time was moved on by a WFI, too: the place before is then more than one instruction away."""
    steps = 6
    plain = Bench(name).run()
    bench = Bench(name, f"insn:{at}")
    bench.actions = [bench.on] * steps + [bench.back] * steps
    assert bench.run() == plain
    forward, backward = bench.places[: steps + 1], bench.places[steps:]
    assert len(forward) == len(set(forward)) == steps + 1
    assert backward == forward[::-1]


def test_reverse_step__over_a_wait() -> None:
    """A PE of `irqs` sleeps: no instruction is one count before the first one after that."""
    bench = Bench("irqs", "insn:1200")
    wanted = 0

    def look(stop: Stop) -> None:
        nonlocal wanted
        now = bench.machine.board.insns
        if now > wanted + 1000 and wanted:
            bench.actions = [bench.on, there]
            bench.rewind.step()
        else:
            wanted = now + 100
            bench.actions = [look]
            bench.stops.count_to(wanted)

    def there(stop: Stop) -> None:
        """Where it had been, by a step on."""

    bench.actions = [look]
    bench.run()
    after, before, again = bench.places[-3:]
    assert wanted - 100 <= before[0] < wanted
    assert again == after
    assert after[0] - before[0] > 1000


def test_reverse_continue__to_the_last_stop_before() -> None:
    bench = Bench("hello-realm", "rsi:*", "rmi:REALM_ACTIVATE")
    plain = Bench("hello-realm").run()

    def nothing(stop: Stop) -> None:
        """Goes on."""

    bench.actions = [nothing, nothing, nothing, bench.back_to_stop, bench.back_to_stop, nothing, nothing]
    bench.actions[6:] = [bench.back_to_stop, bench.back_to_stop, bench.back_to_stop]
    assert bench.run() == plain
    names = [text.partition("): ")[2].partition("(")[0] for text in bench.texts[:6]]
    assert names == [
        "RMI_REALM_ACTIVATE",
        "RSI_VERSION",
        "RSI_REALM_CONFIG",
        "RSI_HOST_CALL",
        "RSI_REALM_CONFIG",
        "RSI_VERSION",
    ]
    assert bench.places[4] == bench.places[2]
    assert bench.places[5] == bench.places[1]
    assert BEGIN in bench.texts
    assert bench.places[bench.texts.index(BEGIN)][0] == 0


def test_reverse__history_is_that_of_the_place() -> None:
    """A granule that became an RD later is none yet."""
    bench = Bench("hello-realm", "rmi:REALM_CREATE")
    seen: list[list[str]] = []

    def look(stop: Stop) -> None:
        seen.append([str(change.new) for change in bench.stops.history.get(0x9400_0000, ())])

    def back(stop: Stop) -> None:
        look(stop)
        bench.rewind.back()

    bench.actions = [back, look]
    bench.run()
    assert len(seen[0]) == 2  # DELEGATED, RD
    assert seen[1] == []


def test_reverse_to__the_last_time() -> None:
    """HOST_CALL is made twice; the run ends as without it, and prints nothing twice."""
    plain, back = ccabridge("run", "hello-realm"), ccabridge("run", "hello-realm", "--reverse-to", "rsi:HOST_CALL")
    assert back.code == 0
    told = [line for line in back.lines if line not in plain.lines]
    assert re.fullmatch(
        r"ccabridge: stop at [\d,]+: breakpoint 1 \(rsi:HOST_CALL\): RSI_HOST_CALL\(.*\) -> host", told[0]
    )
    assert [line for line in back.lines if line not in told] == plain.lines
    never = ccabridge("run", "hello-realm", "--reverse-to", "rsi:IPA_STATE_SET")
    assert f"ccabridge: stop at 0: {BEGIN}" in never.lines
    wrong = ccabridge("run", "hello-realm", "--reverse-to", "at noon")
    assert (wrong.code, wrong.out, wrong.err.count("\n")) == (2, "", 1)
