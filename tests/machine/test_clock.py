"""Alarms on virtual time: exact, in order, bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from machine.clock import Alarms


class Counter:
    def __init__(self) -> None:
        self.insns = 0


def test_ns__follows_instructions() -> None:
    counter = Counter()
    alarms = Alarms(lambda: counter.insns, 250_000_000)
    counter.insns = 5
    assert alarms.ns == 20


def test_after__first_instruction_at_which_the_time_has_passed() -> None:
    counter = Counter()
    alarms = Alarms(lambda: counter.insns, 300_000_000)
    ran: list[int] = []
    alarms.after(10, lambda: ran.append(counter.insns))
    assert alarms.next_at() == 3
    counter.insns = 2
    alarms.run_due()
    assert ran == []
    counter.insns = 3
    alarms.run_due()
    assert ran == [3] and alarms.next_at() is None


def test_order__by_time_then_by_when_they_were_set() -> None:
    counter = Counter()
    alarms = Alarms(lambda: counter.insns, 1_000_000_000)
    ran: list[str] = []
    for name, ns in (("c", 7), ("a", 5), ("b", 5), ("d", 9)):
        alarms.after(ns, lambda name=name: ran.append(name))  # type: ignore[misc]
    counter.insns = 8
    alarms.run_due()
    assert ran == ["a", "b", "c"] and alarms.next_at() == 9


def test_cancel__twice_and_after_it_ran() -> None:
    counter = Counter()
    alarms = Alarms(lambda: counter.insns, 1_000_000_000)
    ran: list[int] = []
    first, second = alarms.after(1, lambda: ran.append(1)), alarms.after(2, lambda: ran.append(2))
    first.cancel()
    first.cancel()
    assert alarms.next_at() == 2
    counter.insns = 5
    alarms.run_due()
    second.cancel()
    assert ran == [2] and alarms.next_at() is None


def test_after_0__is_never_now() -> None:
    """A device that sets an alarm from its alarm must not hold the machine at one instruction."""
    counter = Counter()
    alarms = Alarms(lambda: counter.insns, 1_000_000_000)
    ran: list[int] = []

    def again() -> None:
        ran.append(counter.insns)
        alarms.after(0, again)

    alarms.after(0, again)
    for insns in (0, 1, 1, 2):
        counter.insns = insns
        alarms.run_due()
    assert ran == [1, 2]


def test_far_away__never_comes() -> None:
    counter = Counter()
    alarms = Alarms(lambda: counter.insns, 1_000_000_000_000)
    alarms.after(1 << 80, lambda: None)
    assert alarms.next_at() is None


def test_rearming__needs_no_more_memory() -> None:
    counter = Counter()
    alarms = Alarms(lambda: counter.insns, 1_000_000_000)
    keep = alarms.after(50, lambda: None)
    for _ in range(10_000):
        alarms.after(1 << 40, lambda: None).cancel()
    assert len(alarms._heap) < 200
    assert alarms.next_at() == 50
    keep.cancel()


@given(
    plan=st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=40),
    steps=st.lists(st.integers(1, 30), max_size=20),
)
def test_any_plan__each_alarm_runs_once_and_not_early(plan: list[tuple[int, bool]], steps: list[int]) -> None:
    counter = Counter()
    alarms = Alarms(lambda: counter.insns, 1_000_000_000)
    ran: list[int] = []
    handles = [
        alarms.after(ns, lambda n=n: ran.append(n))  # type: ignore[misc]
        for n, (ns, _) in enumerate(plan)
    ]
    for handle, (_, cancelled) in zip(handles, plan, strict=True):
        if cancelled:
            handle.cancel()
    for step in steps:
        counter.insns += step
        alarms.run_due()
        assert (alarms.next_at() or counter.insns + 1) > counter.insns
    expected = [n for n, (ns, cancelled) in enumerate(plan) if not cancelled and max(ns, 1) <= counter.insns]
    assert sorted(ran) == expected and [plan[n][0] or 1 for n in ran] == sorted(plan[n][0] or 1 for n in ran)
