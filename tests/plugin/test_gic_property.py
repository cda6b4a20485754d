# SPDX-License-Identifier: GPL-2.0-or-later
"""Random sequences of pend, acknowledge and end over several PEs: nothing is lost, nothing comes twice."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugin._gic import (
    DIST,
    EOIR1,
    IAR1,
    IROUTER,
    ISENABLER,
    ISPENDR,
    NONE,
    PMR,
    RPR,
    SGI1R,
    Gic,
)

PES = 3
SPIS = tuple(range(40, 46))
SGIS = (1, 2)
PPI = 20
ANY = 1 << 31


def world(routes: list[int], priorities: list[int]) -> Gic:
    gic = Gic.booted(mpidr=tuple(range(PES)))
    for n, intid in enumerate(SPIS):
        gic.edge(intid)
        gic.write(DIST + IROUTER + intid * 8, ANY if routes[n] == PES else routes[n], 8)
        gic.priority(intid, 0x80 + priorities[n] * 8)
        gic.poke(ISENABLER, intid)
    for pe in range(PES):
        for intid in (*SGIS, PPI):
            gic.poke(ISENABLER, intid, pe)
    return gic


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("spi"), st.sampled_from(SPIS)),
        st.tuples(st.just("pend"), st.sampled_from(SPIS)),
        st.tuples(st.just("sgi"), st.tuples(st.sampled_from(SGIS), st.integers(0, PES - 1))),
        st.tuples(st.just("ppi"), st.tuples(st.integers(0, PES - 1), st.integers(0, 1))),
        st.tuples(st.just("ack"), st.integers(0, PES - 1)),
        st.tuples(st.just("eoi"), st.integers(0, PES - 1)),
        st.tuples(st.just("mask"), st.tuples(st.integers(0, PES - 1), st.sampled_from((0x00, 0x40, 0xF0)))),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, PES), min_size=len(SPIS), max_size=len(SPIS)),
    st.lists(st.integers(0, 15), min_size=len(SPIS), max_size=len(SPIS)),
    OPERATIONS,
)
def test_interrupts__are_neither_lost_nor_duplicated(routes: list[int], priorities: list[int], script: list) -> None:  # type: ignore[type-arg]
    """A model of sets beside it: an edge that is pending is taken once, by a PE that it is routed to (4.1.2)."""
    gic = world(routes, priorities)
    pending: set[tuple[int | None, int]] = set()  # (PE of a private interrupt, INTID)
    level = [0] * PES
    stacks: list[list[tuple[int | None, int]]] = [[] for _ in range(PES)]

    def name(pe: int, intid: int) -> tuple[int | None, int]:
        return (pe if intid < 32 else None, intid)

    def acknowledge(pe: int) -> int:
        intid = gic.get(pe, IAR1)
        if intid == NONE:
            return intid
        who = name(pe, intid)
        assert not any(who in stack for stack in stacks), "active twice"
        if intid == PPI:
            assert level[pe]
        else:
            assert who in pending, "never pended, or taken before"
            pending.remove(who)
        if intid >= 32:
            assert routes[intid - SPIS[0]] in (pe, PES)
        stacks[pe].append(who)
        return intid

    def end(pe: int) -> None:
        gic.set(pe, EOIR1, stacks[pe].pop()[1])

    for what, argument in script:
        match what:
            case "spi":
                gic.line(argument, 1)
                gic.line(argument, 0)
                pending.add((None, argument))
            case "pend":
                gic.poke(ISPENDR, argument, secure=False)
                pending.add((None, argument))
            case "sgi":
                intid, target = argument
                gic.set(0, SGI1R, intid << 24 | 1 << target)
                pending.add((target, intid))
            case "ppi":
                gic.line(PPI, argument[1], argument[0])
                level[argument[0]] = argument[1]
            case "ack":
                acknowledge(argument)
            case "eoi" if stacks[argument]:
                end(argument)
            case "mask":
                gic.set(argument[0], PMR, argument[1])
    # all that is pending comes out in the end
    for pe in range(PES):
        gic.line(PPI, 0, pe)
        level[pe] = 0
        gic.set(pe, PMR, 0xF8)
        while stacks[pe]:
            end(pe)
    for pe in range(PES):
        assert gic.get(pe, RPR) == 0xFF
        while acknowledge(pe) != NONE:
            end(pe)
    assert not pending
    assert [gic.lines(pe) for pe in range(PES)] == [0] * PES
