# SPDX-License-Identifier: GPL-2.0-or-later
"""Random sequences of pend, acknowledge and end over several PEs: nothing is lost, nothing comes twice."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core import sysreg
from tests.plugin._gic import (
    DIST,
    EOIR1,
    IAR1,
    IROUTER,
    ISENABLER,
    ISPENDR,
    NONE,
    PMR,
    REDIST,
    RPR,
    SGI1R,
    Gic,
    Undefined,
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


ENCODINGS = [sysreg(3, op1, 12, crm, op2) for op1 in (0, 4, 6) for crm in range(8, 16) for op2 in range(8)] + [PMR]
INTIDS = (0, 15, 16, 25, 31, 32, 40, 68, 69, 1019, 1020, 1023, 1024, 8191, 8192, 0xFF_FFFF)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_guests__reach_nothing_beyond_the_model(data: st.DataObject) -> None:
    """Any access with any value: state stays within bounds (build with CCA_SANITIZE for the proof of the arrays)."""
    gic = Gic.booted(mpidr=(0, 1), spis=37, list_registers=4)
    values = st.one_of(
        st.integers(0, 2**64 - 1),
        st.sampled_from(INTIDS),
        st.builds(lambda intid, top: intid | top << 32, st.sampled_from(INTIDS), st.integers(0, 2**32 - 1)),
    )
    for _ in range(40):
        value, pe = data.draw(values), data.draw(st.integers(0, 1))
        encoding = data.draw(st.sampled_from(ENCODINGS))
        read = data.draw(st.booleans())
        try:
            match data.draw(st.integers(0, 4)):
                case 0:
                    state = data.draw(st.integers(0, 2))
                    if read:
                        gic.get(pe, encoding, state)
                    else:
                        gic.set(pe, encoding, value, state)
                case 1:
                    gic.ich(encoding, None if read else value)
                case 2:
                    gic.icv(encoding, None if read else value, pe)
                case 3:
                    size = data.draw(st.sampled_from((1, 2, 4, 8)))
                    offset = data.draw(st.integers(0, 0x2_FFFF)) // size * size
                    base = DIST if offset < 0x1_0000 else REDIST - 0x1_0000
                    if read:
                        gic.read(base + offset, size, secure=bool(value & 1))
                    else:
                        gic.write(base + offset, value, size, secure=bool(value >> 63))
                case 4:
                    gic.line(data.draw(st.integers(16, 68)), value & 1, pe)
        except Undefined:
            pass
        assert gic.lines(pe) in (0, 1, 2)
        assert gic.virtual_lines() in (0, 1, 2)
        gic.maintenance()
