# SPDX-License-Identifier: GPL-2.0-or-later
"""The generated device tree, by dtc where there is one, and node by node: Linux' bindings, kvmtool's layout."""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import replace
from itertools import pairwise

import pytest

from bridge.errors import UserError
from machine.vmm.linux import layout
from machine.vmm.linux.dtb import Node, check, parse_tree, write_tree
from machine.vmm.linux.fdt import Board, generate

SHARED = 1 << 32
FULL = Board(
    0x8000_0000,
    256 << 20,
    SHARED,
    mpidrs=(0, 1),
    virtio=(0, 3),
    bootargs="console=ttyS0 quiet",
    initrd=(0x8300_0000, 0x8310_0001),
    seed=bytes(range(32)),
)


def tree(board: Board = FULL) -> Node:
    return parse_tree("generated", generate(board)).root


def words(node: Node, name: str) -> tuple[int, ...]:
    raw = node.properties[name]
    return struct.unpack(f">{len(raw) // 4}I", raw)


def child(node: Node, name: str) -> Node:
    found = node.child(name)
    assert found is not None, f"no node {name} among {[c.name for c in node.children]}"
    return found


def test_memory__is_the_realms_ram() -> None:
    node = child(tree(), "memory@80000000")
    assert node.text("device_type") == "memory"
    assert words(node, "reg") == (0, 0x8000_0000, 0, 0x1000_0000)


def test_psci__is_called_by_smc() -> None:
    """What makes Linux look for RSI (linux-realm.md)."""
    node = child(tree(), "psci")
    assert node.text("method") == "smc"
    assert node.properties["compatible"] == b"arm,psci-1.0\0arm,psci-0.2\0"


def test_uart__is_kvmtools_and_has_no_shared_bit() -> None:
    """Linux' arm64_rsi_is_protected asks for its RIPAS: with the bit that is RSI_ERROR_INPUT, and a warning."""
    node = child(tree(), "serial@1000000")
    assert node.properties["compatible"] == b"ns16550a\0"
    assert words(node, "reg") == (0, 0x0100_0000, 0, 8)
    assert words(node, "interrupts") == (0, 0, 4)
    assert child(tree(), "aliases").text("serial0") == "/serial@1000000"
    assert child(tree(), "chosen").text("stdout-path") == "serial0"


def test_pl011__has_both_clocks() -> None:
    root = tree(Board(0x8000_0000, 1 << 28, SHARED, console=layout.PL011))
    node = child(root, "serial@9000000")
    assert node.properties["compatible"] == b"arm,pl011\0arm,primecell\0"
    assert node.properties["clock-names"] == b"uartclk\0apb_pclk\0"
    assert words(node, "clocks") == words(child(root, "clock"), "phandle") * 2


@pytest.mark.parametrize(("cpus", "base", "size"), [(1, 0x3FFD_0000, 0x2_0000), (8, 0x3FEF_0000, 0x10_0000)])
def test_gic__redistributors_end_below_the_distributor(cpus: int, base: int, size: int) -> None:
    node = child(tree(Board(0x8000_0000, 1 << 28, SHARED, mpidrs=tuple(range(cpus)))), "interrupt-controller@3fff0000")
    assert words(node, "reg") == (0, 0x3FFF_0000, 0, 0x1_0000, 0, base, 0, size)
    assert words(node, "#interrupt-cells") == (3,)
    assert node.properties["interrupt-controller"] == b""


def test_timer__ppis_13_14_11_10() -> None:
    assert words(child(tree(), "timer"), "interrupts")[1::3] == (13, 14, 11, 10)


def test_pmu__is_there_on_request_with_ppi_7() -> None:
    """Arm BSA: INTID 23."""
    assert tree().child("pmu") is None
    node = child(tree(replace(FULL, pmu=True)), "pmu")
    assert node.text("compatible") == "arm,armv8-pmuv3"
    assert words(node, "interrupts") == (1, 7, 4)


def test_cpus__by_mpidr_started_by_psci() -> None:
    cpus = child(tree(), "cpus")
    assert [c.name for c in cpus.children] == ["cpu@0", "cpu@1"]
    assert [words(c, "reg") for c in cpus.children] == [(0,), (1,)]
    assert {c.text("enable-method") for c in cpus.children} == {"psci"}


def test_chosen__initrd_command_line_and_seed() -> None:
    node = child(tree(), "chosen")
    assert node.text("bootargs") == "console=ttyS0 quiet"
    assert words(node, "linux,initrd-start") == (0, 0x8300_0000)
    assert words(node, "linux,initrd-end") == (0, 0x8310_0001)
    assert node.properties["rng-seed"] == bytes(range(32))


def test_virtio__a_node_for_each_slot_in_use() -> None:
    node = child(tree(), "virtio@3000600")
    assert words(node, "reg") == (0, 0x0300_0600, 0, 0x200)
    assert words(node, "interrupts") == (0, 7, 1)
    assert sum(c.name.startswith("virtio@") for c in tree().children) == 2


def test_generated__is_accepted_by_the_check_of_given_trees() -> None:
    check(parse_tree("generated", generate(FULL)), FULL)


@pytest.mark.parametrize(
    ("console", "use"), [(layout.UART, "uart,mmio,0x101000000"), (layout.PL011, "pl011,0x109000000")]
)
def test_earlycon__alone_would_reach_for_a_protected_address(console: layout.Region, use: str) -> None:
    """Linux' early console does not ask for RIPAS."""
    board = Board(0x8000_0000, 1 << 28, SHARED, console=console, bootargs="quiet earlycon")
    with pytest.raises(UserError, match=rf"use earlycon={use}$"):
        generate(board)
    generate(replace(board, bootargs=f"earlycon={use}"))
    generate(replace(board, console=None))


def test_generated__same_board_same_bytes() -> None:
    assert generate(FULL) == generate(FULL)
    assert write_tree(parse_tree("generated", generate(FULL))) == generate(FULL)


def test_generated__no_two_nodes_share_an_address_or_an_interrupt() -> None:
    """Over all devices at once, whatever dtc says."""
    root = tree(Board(0x8000_0000, 1 << 30, SHARED, mpidrs=tuple(range(8)), virtio=tuple(range(32))))
    ranges, interrupts = [], []
    for node in root.children:
        reg = words(node, "reg") if "reg" in node.properties else ()
        for at in range(0, len(reg), 4):
            base, size = reg[at] << 32 | reg[at + 1], reg[at + 2] << 32 | reg[at + 3]
            ranges.append((base, base + size))
        if node.name != "timer" and "interrupts" in node.properties:
            interrupts.append(words(node, "interrupts")[1])
        if "@" in node.name:
            assert int(node.name.split("@")[1], 16) == ranges[-1 if len(reg) == 4 else -2][0]
    ranges.sort()
    assert all(low[1] <= high[0] for low, high in pairwise(ranges))
    assert len(set(interrupts)) == len(interrupts) == 33


@pytest.mark.parametrize("console", [layout.UART, layout.PL011, None])
def test_generated__dtc_has_no_complaint(console: layout.Region | None) -> None:
    if shutil.which("dtc") is None:
        pytest.skip("dtc is not installed")
    board = Board(0x8000_0000, 1 << 28, SHARED, tuple(range(8)), console, virtio=tuple(range(32)), pmu=True)
    done = subprocess.run(["dtc", "-I", "dtb", "-O", "dts"], input=generate(board), capture_output=True, check=True)
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mpidrs": ()}, "0 vCPUs: between 1 and 8"),
        ({"mpidrs": tuple(range(9))}, "9 vCPUs: between 1 and 8"),
        ({"virtio": (32,)}, "virtio device 32: there are 32 slots"),
        ({"bootargs": "x" * 2048}, "2048 bytes: Linux takes at most 2047"),
        ({"bootargs": "naïve"}, "not printable ASCII"),
        ({"bootargs": "a\nb"}, "not printable ASCII"),
    ],
)
def test_generate__board_that_cannot_be(change: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        generate(Board(0x8000_0000, 1 << 28, SHARED, **change))  # type: ignore[arg-type]


def test_mpidr__aff0_has_four_bits() -> None:
    """DEN0137, RmiRecMpidr: REC 16 is Aff1 = 1."""
    assert [layout.mpidr(index) for index in (0, 15, 16, 0x123)] == [0, 15, 0x100, 0x1203]
