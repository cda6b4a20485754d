"""NOR flash, against JESD68.01 (CFI) and the Intel command set as edk2, TF-A and Linux send it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.devices.flash import BLOCK, Flash

SIZE = 64 << 20
BOTH = 0x0001_0001  # commands go to both chips


@pytest.fixture
def flash() -> Flash:
    return Flash(SIZE)


def send(flash: Flash, offset: int, *commands: int) -> None:
    for command in commands:
        flash.write(offset, 4, command * BOTH)


def query(flash: Flash, word: int) -> int:
    value = flash.read(word * 4, 4)
    assert value & 0xFFFF == value >> 16, "either chip answers"
    return value & 0xFFFF


def test_erased__reads_as_ones(flash: Flash) -> None:
    assert flash.read(0, 4) == 0xFFFF_FFFF and flash.read(SIZE - 8, 8) == (1 << 64) - 1


def test_query__as_linux_probes_it(flash: Flash) -> None:
    send(flash, 0x55 * 4, 0x98)
    assert bytes(query(flash, 0x10 + n) for n in range(3)) == b"QRY"
    assert query(flash, 0x13) | query(flash, 0x14) << 8 == 0x0001, "Intel/Sharp extended"
    table = query(flash, 0x15) | query(flash, 0x16) << 8
    assert bytes(query(flash, table + n) for n in range(5)) == b"PRI10"
    assert 1 << query(flash, 0x27) == SIZE // 2
    assert query(flash, 0x28) == 2, "x8/x16"
    assert 1 << (query(flash, 0x2A) | query(flash, 0x2B) << 8) == 64
    assert query(flash, 0x2C) == 1
    blocks = (query(flash, 0x2D) | query(flash, 0x2E) << 8) + 1
    size = (query(flash, 0x2F) | query(flash, 0x30) << 8) * 256
    assert size * 2 == BLOCK == 256 << 10 and blocks * size == SIZE // 2
    assert query(flash, 0x0F) == 0 and query(flash, 0x100) == 0
    send(flash, 0, 0xFF)
    assert flash.read(0x40, 4) == 0xFFFF_FFFF


def test_identifier__manufacturer_device_lock(flash: Flash) -> None:
    send(flash, 0, 0x90)
    assert [query(flash, n) for n in range(3)] == [0x89, 0x18, 0]


def test_program__clears_bits_only(flash: Flash) -> None:
    for value in (0x1234_FFFF, 0xFF0F_5678):
        send(flash, 0x100, 0x40)
        flash.write(0x100, 4, value)
        assert flash.read(0x100, 4) == 0x0080_0080, "ready, no error"
    send(flash, 0, 0xFF)
    assert flash.read(0x100, 4) == 0x1234_FFFF & 0xFF0F_5678
    assert flash.read(0x104, 4) == 0xFFFF_FFFF and flash.read(0xFC, 4) == 0xFFFF_FFFF


def test_erase__one_block(flash: Flash) -> None:
    for offset in (BLOCK - 4, BLOCK, 2 * BLOCK - 4, 2 * BLOCK):
        send(flash, offset, 0x10)
        flash.write(offset, 4, 0)
    send(flash, BLOCK, 0x20, 0xD0)
    assert flash.read(BLOCK, 4) == 0x0080_0080
    send(flash, 0, 0xFF)
    assert [flash.read(o, 4) for o in (BLOCK - 4, BLOCK, 2 * BLOCK - 4, 2 * BLOCK)] == [0, 0xFFFF_FFFF, 0xFFFF_FFFF, 0]


def test_erase__without_confirmation_is_a_sequence_error(flash: Flash) -> None:
    send(flash, 0, 0x40)
    flash.write(0, 4, 0)
    send(flash, 0, 0x20, 0xFF)
    assert flash.read(0, 4) == 0x00B0_00B0, "SR5 and SR4"
    send(flash, 0, 0x50, 0x70)
    assert flash.read(0, 4) == 0x0080_0080
    send(flash, 0, 0xFF)
    assert flash.read(0, 4) == 0


def test_write_buffer__32_words(flash: Flash) -> None:
    send(flash, 0x200, 0xE8)
    assert flash.read(0x200, 4) == 0x0080_0080, "the buffer is free"
    send(flash, 0x200, 31)
    for n in range(32):
        flash.write(0x200 + 4 * n, 4, n)
    send(flash, 0x200, 0xD0)
    assert flash.read(0x200, 4) == 0x0080_0080
    send(flash, 0, 0xFF)
    assert [flash.read(0x200 + 4 * n, 4) for n in range(33)] == [*range(32), 0xFFFF_FFFF]


@pytest.mark.parametrize("count", [32, 0xFFFF])
def test_write_buffer__too_many_words(flash: Flash, count: int) -> None:
    send(flash, 0, 0xE8, count)
    assert flash.read(0, 4) == 0x00B0_00B0
    send(flash, 0, 0xFF)
    assert flash.read(0, 4) == 0xFFFF_FFFF, "array mode: the sequence is over"


def test_write_buffer__not_confirmed_changes_nothing(flash: Flash) -> None:
    send(flash, 0, 0xE8, 0)
    flash.write(0, 4, 0)
    send(flash, 0, 0xFF)
    assert flash.read(0, 4) == 0x00B0_00B0
    send(flash, 0, 0xFF)
    assert flash.read(0, 4) == 0xFFFF_FFFF


def test_lock__refuses_program_and_erase_until_unlocked(flash: Flash) -> None:
    send(flash, BLOCK, 0x60, 0x01)
    send(flash, BLOCK, 0x90)
    assert flash.read(BLOCK + 8, 4) == 0x0001_0001 and flash.read(8, 4) == 0
    send(flash, BLOCK, 0x40)
    flash.write(BLOCK, 4, 0)
    assert flash.read(BLOCK, 4) == 0x0092_0092, "SR4 and SR1"
    send(flash, BLOCK, 0x50, 0x20, 0xD0)
    assert flash.read(BLOCK, 4) == 0x00A2_00A2, "SR5 and SR1"
    send(flash, BLOCK, 0x50, 0x60, 0xD0, 0x40)
    flash.write(BLOCK, 4, 0)
    send(flash, BLOCK, 0xFF)
    assert flash.read(BLOCK, 4) == 0


def test_reset__content_and_read_array(flash: Flash) -> None:
    send(flash, 0, 0x40)
    flash.write(0, 4, 0x1122_3344)
    send(flash, 0, 0xE8)
    flash.reset()
    assert flash.read(0, 4) == 0x1122_3344 and flash.read(2, 1) == 0x22


def test_content__from_a_file_and_back() -> None:
    data = bytes(range(256)) * 3
    flash = Flash(4 * BLOCK, data)
    assert flash.read(255, 1) == 255 and flash.read(len(data), 4) == 0xFFFF_FFFF
    assert b"".join(flash.content()) == data.ljust(4 * BLOCK, b"\xff")


@given(
    accesses=st.lists(
        st.tuples(
            st.booleans(),
            st.integers(0, 2 * BLOCK - 8) | st.integers(0, 64).map(lambda n: n * 4) | st.integers(BLOCK - 8, BLOCK),
            st.sampled_from([1, 2, 4, 8]),
            st.sampled_from([0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xD0, 0xE8, 0xFF, 0x01]).map(
                lambda c: c * BOTH
            )
            | st.integers(0, (1 << 64) - 1),
        ),
        max_size=80,
    )
)
def test_any_access__in_its_width_and_size(accesses: list[tuple[bool, int, int, int]]) -> None:
    flash = Flash(2 * BLOCK)
    for write, offset, size, value in accesses:
        if write:
            flash.write(offset, size, value & ((1 << 8 * size) - 1))
        else:
            assert 0 <= flash.read(offset, size) < 1 << 8 * size
    assert sum(len(block) for block in flash.content()) == 2 * BLOCK
