# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host information block says of PEs, interrupt controller and behaviours (docs/payload.md)."""

from __future__ import annotations

import struct

from machine.config import load
from machine.machine import Machine

INFO = 0x8700_0000
BEHAVIOUR = "<4I2Q"
EVERY_REALM, ANYWHERE = 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF


def block(*overrides: str) -> bytes:
    machine = Machine(load("hello-realm", list(overrides)), lambda _line: None)
    data = machine.memory.read(INFO, 0x1000)
    machine.close()
    return data


def test_pes__their_affinities_stand_where_the_offset_says() -> None:
    data = block("cpu.count=3", "cpu.mpidr=[0x1_0000_0002, 0x101, 7]")
    count, _, offset = struct.unpack_from("<3I", data, 0x50)
    assert count == 3
    assert offset == 0x200 + 0x100  # after the block and one realm
    assert struct.unpack_from("<3Q", data, offset) == (0x1_0000_0002, 0x101, 7)
    assert struct.unpack_from("<I", data, 0xC) == (offset + 3 * 8,)


def test_gic__is_zero_where_there_is_none() -> None:
    assert struct.unpack_from("<3Q", block(), 0x60) == (0, 0, 0)


def test_gic__frames_and_stride() -> None:
    data = block("devices.gic={type: gicv3, base: 0x0800_0000, redistributors: 0x0810_0000, stride: 0x4_0000}")
    assert struct.unpack_from("<3Q", data, 0x60) == (0x0800_0000, 0x0810_0000, 0x4_0000)


def test_behaviours__one_record_each_in_the_order_of_the_file() -> None:
    data = block(
        "host.behaviour=[{type: reject-ripas, after: 2, times: 3}, {type: partial-ripas, realm: hello, pages: 9}, "
        "{type: deny-cpu-on}, {type: evict, ipa: 0x8000_1000, then: report}, {type: inject-sea, ipa: 0x900_0000}, "
        "{type: ignore-mmio}]"
    )
    count, _, offset = struct.unpack_from("<3I", data, 0x54)
    assert count == 6
    records = [struct.unpack_from(BEHAVIOUR, data, offset + 0x20 * i) for i in range(count)]
    assert records == [
        (1, EVERY_REALM, 2, 3, ANYWHERE, 0),
        (2, 0, 0, 0, ANYWHERE, 9),
        (3, EVERY_REALM, 0, 0, ANYWHERE, 0),
        (4, EVERY_REALM, 0, 1, 0x8000_1000, 1),
        (5, EVERY_REALM, 0, 0, 0x0900_0000, 0),
        (6, EVERY_REALM, 0, 0, ANYWHERE, 0),
    ]
