# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole Linux realm before it starts: nothing overlaps, nothing is left out, nothing lies."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from bridge.errors import UserError
from machine.vmm.linux.dtb import bootargs, initrd_range, parse_tree
from machine.vmm.linux.fdt import Board, generate
from machine.vmm.linux.image import Kernel
from machine.vmm.linux.launch import default_kernel, prepare

RSI = b"Linux version 7.2-x (y)\0RME: Using RSI version %lu.%lu\n"
BOARD = Board(0x8000_0000, 64 << 20, 1 << 32, bootargs="quiet")
INITRD = ("my.cpio", b"initrd" * 1000)


def kernel(data: bytes = RSI) -> Kernel:
    return Kernel("Image", "Image", data, 0, 0x12_3456, 0, 4096, True)


def test_prepare__each_piece_at_its_place() -> None:
    launch = prepare(BOARD, kernel(), initrd=INITRD)
    pieces = {what: (address, data) for what, address, data in launch.contents()}
    assert pieces["kernel"] == (0x8000_0000, RSI)
    assert pieces["dtb"] == (0x8020_0000, launch.dtb)
    assert pieces["initrd"] == (0x8040_0000, INITRD[1])
    assert launch.where.entry == 0x8000_0000
    ends = sorted((address, address + len(data)) for address, data in pieces.values())
    assert all(low[1] <= high[0] for low, high in pairwise(ends))
    tree = parse_tree("dtb", launch.dtb)
    assert initrd_range(tree) == (0x8040_0000, 0x8040_0000 + 6000)
    assert bootargs(tree) == "quiet"


def test_prepare__without_an_initrd() -> None:
    launch = prepare(BOARD, kernel())
    assert [what for what, _, _ in launch.contents()] == ["kernel", "dtb"]
    assert initrd_range(parse_tree("dtb", launch.dtb)) is None


def test_prepare__given_device_tree_gets_the_initrd_and_keeps_its_command_line() -> None:
    mine = parse_tree("my.dtb", generate(Board(0x8000_0000, 32 << 20, 1 << 32, bootargs="mine")))
    launch = prepare(Board(0x8000_0000, 64 << 20, 1 << 32), kernel(), initrd=INITRD, dtb=mine)
    tree = parse_tree("dtb", launch.dtb)
    assert (bootargs(tree), initrd_range(tree)) == ("mine", (0x8040_0000, 0x8040_0000 + 6000))
    assert bootargs(parse_tree("dtb", prepare(BOARD, kernel(), dtb=mine).dtb)) == "quiet"


def test_prepare__given_device_tree_that_lies() -> None:
    mine = parse_tree("my.dtb", generate(Board(0x8000_0000, 128 << 20, 1 << 32)))
    with pytest.raises(UserError, match=r"my\.dtb: `memory@80000000`: 0x80000000 to 0x88000000 is not all RAM"):
        prepare(BOARD, kernel(), dtb=mine)


def test_prepare__linux_without_rsi_is_refused_and_another_kernel_is_not() -> None:
    with pytest.raises(UserError, match=r"Image: Linux 6\.1-y was built without support for realms"):
        prepare(BOARD, kernel(b"Linux version 6.1-y (z)\n"))
    assert prepare(BOARD, kernel(b"no Linux at all")).where.entry == 0x8000_0000


def test_prepare__what_does_not_fit() -> None:
    with pytest.raises(UserError, match="give at least -m"):
        prepare(Board(0x8000_0000, 2 << 20, 1 << 32), kernel())
    with pytest.raises(UserError, match=r"big: an initrd of 64 MiB"):
        prepare(BOARD, kernel(), initrd=("big", bytes(64 << 20)))


def test_default_kernel__none_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError, match="`ccabridge fetch-kernel`"):
        default_kernel()


def test_prepare__command_line_that_takes_the_ram_away() -> None:
    """Linux, early_mem: `mem=` counts from the start of RAM; the initrd ends a little above 4 MiB."""
    for words in ("mem=4M", "quiet mem=0x400000", "mem=4096k mem=1T mem=4M", "mem=4194304 quiet"):
        with pytest.raises(
            UserError, match=r"`mem=\w+`: kernel, device tree and initrd end at 4 MiB.*mem=33M"
        ) as error:
            prepare(replace(BOARD, bootargs=words), kernel(), initrd=INITRD)
        assert "\n" not in str(error.value)
    for words, ram in (("mem=40M", 40), ("mem=1G", 64), ("mem=4M mem=5M", 5), ("xmem=1M", 64), ("mem=1Mx", 64)):
        launch = prepare(replace(BOARD, bootargs=words), kernel(), initrd=INITRD)
        assert launch.ram == ram << 20


def test_prepare__what_a_kernel_needs_besides_its_images() -> None:
    """Debian's 7.3 (40.8 MiB) has been seen to panic with 68 MiB and to boot with 72, 6.16 (32.7) with 52 and 54."""
    for mib, fails, boots in ((40.8125, 68, 74), (47.5625, 72, 80), (38.3125, 64, 72), (34.5, 54, 72)):
        image = Kernel("Image", "Image", RSI, 0, int(mib * (1 << 20)), 0, 4096, True)
        launch = prepare(BOARD, image, initrd=INITRD)
        assert fails << 20 < launch.least <= boots << 20
