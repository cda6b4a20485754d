"""Random RMI calls at the monitor's door: no call ends in anything but an answer, and the GPT agrees with the RMM."""

from __future__ import annotations

import random
import struct

import pytest

from bridge.pas import GPI, PAS
from machine.config import load
from machine.machine import Machine

PAGES = [0x9400_0000 + i * 4096 for i in range(40)]
CALLS = 6000
ODD = (
    0,
    1,
    2,
    3,
    (1 << 64) - 1,
    0x10000,
    0x0900_0000,
    0x0400_0000,
    0x0600_0000,
    0x0580_0000,
    1 << 40,
    (1 << 48) + 4096,
)


def argument(rnd: random.Random) -> int:
    roll = rnd.random()
    if roll < 0.5:
        return rnd.choice(PAGES)
    if roll < 0.75:
        return rnd.choice(ODD)
    if roll < 0.85:
        return 0x8000_0000 + rnd.randrange(512) * 4096
    return rnd.choice((rnd.getrandbits(64), rnd.choice(PAGES) + rnd.randrange(4096), 1 << 39))


def block(rnd: random.Random) -> bytes:
    """What might be RmiRealmParams, or RmiRecParams."""
    data = bytearray(4096)
    if rnd.random() < 0.6:
        flags, width = rnd.choice((0, 0, 0, 1, 2, 4)), rnd.choice((32, 33, 40, 48, 0, 255))
        struct.pack_into("<QI4xI4xI4xI", data, 0, flags, width, 0, 1, 1)
        level, tables = rnd.choice((-1, 0, 1, 1, 2, 3, -5)), rnd.choice((1, 1, 2, 4, 8, 16, 1 << 31))
        struct.pack_into("<H6xQqI", data, 0x800, rnd.randrange(4), rnd.choice(PAGES), level, tables)
    else:
        struct.pack_into("<Q", data, 0, 1)
        struct.pack_into("<Q", data, 0x200, 0x8000_0000)
        struct.pack_into("<Q16Q", data, 0x800, 16, *[rnd.choice(PAGES) for _ in range(16)])
    return bytes(data)


@pytest.mark.parametrize("seed", range(8))
def test_random_calls__are_answered_and_leave_gpt_and_states_in_agreement(seed: int) -> None:
    rnd = random.Random(seed)
    machine = Machine(load("hello-realm"), lambda _line: None)
    succeeded = 0
    for _ in range(CALLS):
        if rnd.random() < 0.1:
            machine.board.write_as(PAS.NON_SECURE, rnd.choice(PAGES), block(rnd))
        fid = 0xC400_0150 + rnd.randrange(0x1A) if rnd.random() < 0.97 else rnd.getrandbits(31)
        if fid == 0x8400_0008:
            continue
        result = machine.monitor.normal([fid, *(argument(rnd) for _ in range(7))])
        assert all(0 <= value < 1 << 64 for value in result)
        succeeded += result[0] == 0
    for pa in PAGES:
        non_secure = machine.rmm.granule_state(pa) == 0
        assert machine.gpt.get(pa) == (GPI.NON_SECURE if non_secure else GPI.REALM), hex(pa)
    assert succeeded > 100
    machine.close()
