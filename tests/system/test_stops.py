# SPDX-License-Identifier: GPL-2.0-or-later
"""Breakpoints on whole machines: they stop where they say, and the run is the one without them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from bridge.errors import UserError
from machine.config.loader import load
from machine.machine import Machine
from machine.stops import Stop, Stops, parse
from rmm.abi.values import GranuleState


class Run:
    """One run of a shipped machine.  front: called at each stop with the machine and the stop."""

    def __init__(self, name: str, *breaks: str, front: Callable[[Machine, Stop], None] | None = None) -> None:
        output: list[str] = []
        self.machine = machine = Machine(load(name, []), output.append)
        self.seen: list[Stop] = []

        def told(stop: Stop) -> None:
            self.seen.append(stop)
            if front is not None:
                front(machine, stop)

        try:
            if breaks or front is not None:
                self.stops = Stops(machine, told)
                for text in breaks:
                    self.stops.add(text)
            end = machine.run()
            content = hashlib.sha256()
            for region in machine.memory:
                content.update(region.mapping)
            insns = [core.insns for core in machine.cores]
            self.result = end.kind, end.code, machine.board.insns, insns, content.hexdigest(), "".join(output)
        finally:
            machine.close()


@pytest.mark.parametrize("name", ["hello-realm", "irqs", "smp", "pmu", "secure", "power"])
def test_stops__change_nothing(name: str) -> None:
    """Some thousand stops, most of them inside a block; devices, timers, the PMU, other PEs and the Secure world."""
    plain = Run(name).result

    def front(machine: Machine, stop: Stop) -> None:
        distance = (1, 1, 2, 3, 5, 17, 250)[len(counted.seen_counts) % 7]
        counted.seen_counts.append(distance)
        if len(counted.seen_counts) < 5000:
            machine.board.stop_at(machine.board.insns + distance)
        if stop.core is not None and distance == 17:
            stop.core.step()

    class counted:
        seen_counts: list[int] = []

    run = Run(name, "insn:5", front=front)
    assert len(counted.seen_counts) > 1000
    assert run.result == plain


def test_break__on_meaning() -> None:
    run = Run("hello-realm", "rmi:RTT_CREATE", "rsi:*", "rmi:* status!=SUCCESS", "event:rec_exit")
    plain = Run("hello-realm")
    assert run.result == plain.result
    texts = [stop.text for stop in run.seen]
    assert (
        sum("(rmi:RTT_CREATE): RMI_RTT_CREATE(" in text for text in texts)
        == plain.machine.calls.counts["RMI_RTT_CREATE"]
    )
    assert any("(rsi:*): RSI_VERSION(" in text for text in texts)
    assert any("(event:rec_exit): rec_exit: REC" in text for text in texts)
    failed = [text for text in texts if "status!=SUCCESS" in text]
    assert failed
    assert all("= ERROR_" in text for text in failed)


def test_break__after_a_call_its_results_are_in_the_registers() -> None:
    found = []

    def front(machine: Machine, stop: Stop) -> None:
        assert stop.core is not None
        found.append((stop.core.name, stop.core.get_x(0, 2)))

    Run("hello-realm", "rmi:VERSION", front=front)
    assert found == [("normal world, PE 0", [0, 0x10000])]  # SUCCESS, revision 1.0 (DEN0137 RMI_VERSION)


def test_break__on_a_symbol_of_a_world() -> None:
    run = Run("hello-realm", "realm:main")
    (stop,) = run.seen
    assert stop.core is not None
    assert stop.core.name.startswith("rec 0 ")
    assert "realm:main" in stop.text


def test_break__on_a_granule() -> None:
    first: list[int] = []

    def note(machine: Machine, stop: Stop) -> None:
        if machine.stops is not None and not first:
            first.append(min(machine.stops.history))

    Run("hello-realm", "rmi:REALM_CREATE", front=note)
    run = Run("hello-realm", f"granule:{first[0]:#x} transition")
    assert "UNDELEGATED → DELEGATED" in run.seen[0].text
    history = run.stops.history[first[0]]
    assert [change.new for change in history][:2] == [GranuleState.DELEGATED, GranuleState.RD]
    call = history[1].call
    assert call is not None and call.decl is not None
    assert call.decl.name == "RMI_REALM_CREATE"


def test_break__on_a_granule_protection_fault() -> None:
    run = Run("attacker", "gpf")
    assert run.seen
    assert "granule protection fault: PA" in run.seen[0].text
    assert run.result == Run("attacker").result


def test_break__on_an_ipa() -> None:
    run = Run("hello-realm", "ipa:0x80000000+0x1000 write")
    assert all(stop.watch is not None for stop in run.seen)
    assert run.result == Run("hello-realm").result


@pytest.mark.parametrize(
    "text",
    ["rmi", "pa:xyz", "va:0x10+0", "va:0xffffffffffffffff+2", "granule:here", "insn:-1", "no_such_symbol", "a b", ""]
    + ["rmi:NOTHING", "rsi:RTT_*", "status!=SUCESS", "event:rec_exits"],
)
def test_break__nonsense_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        Run("hello-realm", text)


def test_parse__reads_what_is_documented() -> None:
    watch = parse(1, "pa:0x88000000+8 write")
    assert (watch.first, watch.last, watch.read, watch.write) == (0x8800_0000, 0x8800_0007, False, True)
    call = parse(2, "status==ERROR_RTT")
    assert (call.interface, call.glob, call.status) == ("*", "*", (True, "ERROR_RTT"))
    address = parse(3, "realm:0x80000010")
    assert (address.world, address.addresses) == ("realm", [0x8000_0010])
