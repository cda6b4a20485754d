# SPDX-License-Identifier: GPL-2.0-or-later
"""A64 words for hand-written test programs, by the fields of the Arm ARM's encodings (DDI 0487, C6.2)."""

from __future__ import annotations

NOP = 0xD503201F
WFI = 0xD503207F
ERET = 0xD69F03E0
DAIFCLR_I = 0xD50342FF  # msr daifclr, #2
DAIFSET_I = 0xD50342DF
HERE = 0x14000000  # b .


def mov(rd: int, value: int) -> list[int]:
    """movz and movk, as many as it takes."""
    parts = [(i, value >> 16 * i & 0xFFFF) for i in range(4)]
    used = [(i, v) for i, v in parts if v] or [(0, 0)]
    words = [0xD2800000 | used[0][0] << 21 | used[0][1] << 5 | rd]
    return words + [0xF2800000 | i << 21 | v << 5 | rd for i, v in used[1:]]


def msr(encoding: int, rt: int) -> int:
    return 0xD5000000 | encoding << 5 | rt


def mrs(rt: int, encoding: int) -> int:
    return 0xD5200000 | encoding << 5 | rt


def put(encoding: int, value: int, scratch: int = 9) -> list[int]:
    """mov scratch, #value; msr encoding, scratch"""
    return [*mov(scratch, value), msr(encoding, scratch)]


def str_w(rt: int, rn: int) -> int:
    return 0xB9000000 | rn << 5 | rt


def ldr_w(rt: int, rn: int) -> int:
    return 0xB9400000 | rn << 5 | rt


def str_x_post(rt: int, rn: int) -> int:
    """str rt, [rn], #8"""
    return 0xF8008400 | rn << 5 | rt


def store_w(address: int, value: int) -> list[int]:
    """A device write, by x9 and x10."""
    return [*mov(9, value), *mov(10, address), str_w(9, 10)]


def add(rd: int, rn: int, imm: int) -> int:
    return 0x91000000 | imm << 10 | rn << 5 | rd


def b(offset: int) -> int:
    """Words from here."""
    return 0x14000000 | offset & 0x3FFFFFF
