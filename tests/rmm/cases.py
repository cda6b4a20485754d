# SPDX-License-Identifier: GPL-2.0-or-later
"""Failure conditions as tables: each is provoked alone, and against each other one, whose order the table gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import pytest

from rmm.abi.call import Call
from tests.rmm.fakes import World, snapshot

Args = dict[str, int]
Setup = Callable[[World], Args]
Break = Callable[[World, Args], Any]


class Case:
    """A condition, what it answers, and how to make it hold; `on`: names of the arguments or things it disturbs.

    Two cases are tested together only where they disturb different things.
    """

    def __init__(self, name: str, status: int, breaks: Break, on: str, index: int = 0) -> None:
        self.name = name
        self.status = status
        self.index = index
        self.breaks = breaks
        self.on = frozenset(on.split())


class Table:
    """All conditions of one command in the order of rmm-abi.md, with a set-up in which the call succeeds.

    joint: cases in which two conditions about the same thing hold at once; each is named for the one that decides.
    """

    def __init__(
        self,
        decl: Call,
        section: str,
        setup: Setup,
        *cases: Case,
        offered: Any = None,
        joint: Sequence[Case] = (),
    ) -> None:
        self.decl = decl
        self.section = section
        self.setup = setup
        self.cases = cases
        self.joint = tuple(joint)
        self.offered = offered

    def world(self) -> tuple[World, Args]:
        world = World(self.offered() if self.offered is not None else None)
        return world, self.setup(world)

    def check_success(self) -> None:
        world, args = self.world()
        world.ok(self.decl, *args.values())

    def check(self, *cases: Case) -> None:
        """The first of `cases` decides, and nothing changes."""
        world, args = self.world()
        for case in reversed(cases):  # what comes first may hide the rest from the host
            case.breaks(world, args)
        before = snapshot(world)
        assert world.fails(self.decl, *args.values()) == (cases[0].status, cases[0].index, cases[0].name)
        assert snapshot(world) == before

    def pairs(self) -> list[tuple[Case, Case]]:
        return [(a, b) for a, b in combinations(self.cases, 2) if not a.on & b.on]


def alone(*tables: Table) -> Any:
    """Parametrizes a test by (table, case)."""
    return pytest.mark.parametrize(
        ("table", "case"),
        [pytest.param(t, c, id=f"{t.decl.short.lower()}__{c.name}") for t in tables for c in (*t.cases, *t.joint)],
    )


def in_order(*tables: Table) -> Any:
    """Parametrizes a test by (table, earlier case, later case)."""
    return pytest.mark.parametrize(
        ("table", "first", "second"),
        [
            pytest.param(t, a, b, id=f"{t.decl.short.lower()}__{a.name}_before_{b.name}")
            for t in tables
            for a, b in t.pairs()
        ],
    )


def added(name: str, amount: int) -> Break:
    """The argument becomes larger."""

    def breaks(world: World, args: Args) -> None:
        args[name] += amount

    return breaks


def put(name: str, value: int) -> Break:
    """The argument becomes another."""

    def breaks(world: World, args: Args) -> None:
        args[name] = value

    return breaks


def fresh_ns(name: str) -> Break:
    """The argument becomes a Non-secure granule."""
    return lambda world, args: args.update({name: world.ns()})


def fresh_delegated(name: str) -> Break:
    """The argument becomes a delegated granule."""
    return lambda world, args: args.update({name: world.delegated()})


def both(*breaks: Break) -> Break:
    """One after the other."""

    def apply(world: World, args: Args) -> None:
        for one in breaks:
            one(world, args)

    return apply
