# SPDX-License-Identifier: GPL-2.0-or-later
"""Random code over the GIC, timers, masks and HCR_EL2, with lines that toggle: each run is the same run."""

from __future__ import annotations

import random

import pytest

from bridge.core import sysreg
from bridge.exits import Reason
from bridge.plugin import lib
from tests.bridge.a64 import DAIFCLR_I, DAIFSET_I, ERET, NOP, WFI, mov, mrs, msr, store_w
from tests.bridge.boards import CODE, ELR, SPSR
from tests.bridge.test_interrupts import CNTHP_CTL, CNTP_CTL, DIST, EL1H, EL2H, HCR_EL2, HCR_RW, ISR, REDIST, Wired
from tests.plugin._gic import ICFGR, SGI_BASE

DAIF = sysreg(3, 3, 4, 2, 1)
CNTV_CTL = sysreg(3, 3, 14, 3, 1)
TIMERS = [CNTP_CTL - 1, CNTP_CTL, CNTHP_CTL - 1, CNTHP_CTL, CNTV_CTL - 1, CNTV_CTL]
ICC = [sysreg(3, 0, 12, crm, op2) for crm in (8, 9, 11, 12) for op2 in range(8)] + [sysreg(3, 0, 4, 6, 0), ISR]
ICH = [sysreg(3, 4, 12, crm, op2) for crm in (8, 9, 11, 12) for op2 in range(8)]
LOOP_BACK = 0x17FFF000  # b, 4096 words back: from the end to the start
WORDS = 4096
REASONS = {Reason.SLICE, Reason.WFI, Reason.FIQ, Reason.LOOP}


def value_for(random_: random.Random, encoding: int) -> int:
    if encoding in TIMERS:
        return random_.choice((0, 1, 1, 1, 3)) if encoding & 7 == 1 else random_.randrange(1, 400)
    if encoding == HCR_EL2:
        return HCR_RW | random_.getrandbits(6) << 3 & 0x1F8
    if encoding == DAIF:
        return random_.choice((0, 0x3C0, 0x80, 0x40))
    return random_.choice((1, 0xF0, 0xF8, random_.getrandbits(12), random_.getrandbits(64)))


def program(seed: int) -> list[int]:
    random_ = random.Random(seed)
    words: list[int] = []
    while len(words) < WORDS - 16:
        match random_.randrange(10):
            case 0 | 1 | 2:
                encoding = random_.choice([*ICC, *ICH, *TIMERS, HCR_EL2, DAIF])
                words += [*mov(1, value_for(random_, encoding)), msr(encoding, 1)]
            case 3 | 4:
                words.append(mrs(random_.randrange(8), random_.choice([*ICC, *ICH, *TIMERS])))
            case 5:
                words.append(random_.choice((DAIFCLR_I, DAIFSET_I)))
            case 6:
                base = random_.choice((DIST, REDIST + SGI_BASE))
                words += store_w(base + random_.randrange(0x80, 0xF00) // 4 * 4, random_.getrandbits(32))
            case 7:
                words.append(WFI)
            case _:
                words += [NOP] * random_.randrange(1, 6)
    return words + [NOP] * (WORDS - len(words))


def history(seed: int, level: int) -> list[tuple[int, ...]]:
    """What one run of a seed does, slice by slice."""
    random_ = random.Random(seed)
    board = Wired()
    try:
        core = board.host(*range(16), *range(25, 31), *range(40, 48))
        assert board.gic.write(DIST + ICFGR + 8, 0xAA << 16)
        board.code([*program(seed), LOOP_BACK], CODE)
        for offset in range(0, 0x800, 0x80):  # each vector acknowledges, ends, and goes on behind what faulted
            lower = offset >= 0x400 or level == 2
            elr, spsr = (ELR[2], SPSR[2]) if lower else (ELR[1], SPSR[1])
            step = [mrs(11, elr), 0x9100116B, msr(elr, 11)] if offset % 0x200 == 0 else []  # add x11, x11, #4
            quiet = [msr(timer, 31) for timer in (CNTP_CTL, CNTV_CTL, *([CNTHP_CTL] if lower else []))]
            body = [mrs(12, sysreg(3, 0, 12, 12, 0)), *quiet, msr(sysreg(3, 0, 12, 12, 1), 12), *step]
            mask = [mrs(11, spsr), 0x927CED6B, msr(spsr, 11)] if random_.random() < 0.1 else []
            board.vector(offset, [*body, *mask, ERET])
        core.pc, core.pstate = CODE, EL2H if level == 2 else EL1H
        seen = []
        for _ in range(150):
            for intid in range(40, 48):  # 40 to 43 are edges; a level lasts a slice
                board.gic.set_line(intid, random_.random() < 0.05)
            reason = Reason(core.run(random_.randrange(1, 300)))
            assert reason in REASONS, reason.name
            lines = lib.cca_irq_lines(core.handle)
            seen.append((reason, board.board.insns, core.pc, core.pstate, lines, *core.get_x(0, 13)))
            if reason is Reason.LOOP or random_.random() < 0.2:  # out of what storms, with other routes
                core.set_sysreg(HCR_EL2, HCR_RW | random_.getrandbits(3) << 3)
                board.gic.load_virtual(core, 1, [random_.getrandbits(64) for _ in range(4)])
                core.pc = CODE + random_.randrange(WORDS) * 4
                core.pstate = EL2H if level == 2 else EL1H
        return seen
    finally:
        board.close()


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("seed", range(12))
def test_random_interrupts__leave_by_known_exits_and_repeat(seed: int, level: int) -> None:
    first = history(seed, level)
    assert first == history(seed, level)
    assert len({entry[2] for entry in first}) > 10, "it runs"
