# SPDX-License-Identifier: GPL-2.0-or-later
"""Device trees that are given: Devicetree Specification 0.4, §5, and what a realm can be (linux-realm.md)."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import UserError
from machine.vmm.linux.dtb import Node, Tree, bootargs, check, completed, initrd_range, parse_tree, write_tree
from machine.vmm.linux.fdt import Board, generate

BOARD = Board(0x8000_0000, 256 << 20, 1 << 32, mpidrs=(0, 1), virtio=(0,), bootargs="quiet")


def good() -> Tree:
    return parse_tree("my.dtb", generate(BOARD))


def node(tree: Tree, path: str) -> Node:
    at = tree.root
    for name in path.split("/"):
        found = at.child(name)
        assert found is not None, name
        at = found
    return at


def refused(change: Callable[[Tree], object]) -> str:
    tree = good()
    change(tree)
    with pytest.raises(UserError) as caught:
        check(tree, BOARD)
    return str(caught.value)


def reg(*words: int) -> bytes:
    return struct.pack(f">{len(words)}I", *words)


def header(**fields: int) -> bytes:
    """The good tree with fields of its header replaced (§5.2)."""
    order = ["magic", "total", "struct", "strings", "reserved", "version", "last", "cpu", "strings_size", "struct_size"]
    data = generate(BOARD)
    values = list(struct.unpack(">10I", data[:40]))
    for name, value in fields.items():
        values[order.index(name)] = value
    return struct.pack(">10I", *values) + data[40:]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a flattened device tree"),
        (b"\xed\xfe\x0d\xd0" + bytes(60), "not a flattened device tree"),
        (generate(BOARD)[:39], "truncated: 39 bytes, the header alone has 40"),
        (generate(BOARD)[:-1], r"truncated: its header says \d+ bytes, the file has"),
        (header(total=1 << 31), "truncated: its header says 2147483648 bytes"),
        (header(struct=0x10), "its structure block lies outside its total size"),
        (header(strings=0x7FFF_FFFF), "its strings block lies outside its total size"),
        (header(struct_size=0x7FFF_FFFF), "its structure block lies outside its total size"),
        (header(total=64), "lies outside its total size of 64 bytes"),
        (header(version=16), "version 16, compatible with 16: 17 is supported"),
        (header(last=18), "version 17, compatible with 18: 17 is supported"),
        (header(reserved=0x2C), "not aligned"),
        (header(struct=0x39), "not aligned"),
        (header(struct_size=16), "its structure block ends early|has no end|ends beyond"),
        (header(strings_size=0), "a property's name lies outside its strings block"),
        (header(total=3 << 20) + bytes(3 << 20), "at most 2097152"),
    ],
)
def test_parse__file_that_lies(data: bytes, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_tree("my.dtb", data)


def structure(*tokens: bytes) -> bytes:
    """A tree of these tokens, with the strings `a` and `b`."""
    block, strings = b"".join(tokens), b"a\0b\0"
    at = 40 + 16
    total = at + len(block) + len(strings)
    head = struct.pack(">10I", 0xD00DFEED, total, at, at + len(block), 40, 17, 16, 0, len(strings), len(block))
    return head + bytes(16) + block + strings


BEGIN, CLOSE, NOP, END = b"\0\0\0\1", b"\0\0\0\2", b"\0\0\0\4", b"\0\0\0\x09"
ROOT = BEGIN + bytes(4)


def prop(name: int, value: bytes, size: int | None = None) -> bytes:
    head = struct.pack(">III", 3, len(value) if size is None else size, name)
    return head + value + bytes(-len(value) % 4)


def test_parse__nops_are_skipped_and_values_are_bytes() -> None:
    tree = parse_tree(
        "x", structure(NOP, ROOT, NOP, prop(0, b"\xff\0z"), BEGIN, b"n\0\0\0", CLOSE, NOP, CLOSE, NOP, END)
    )
    assert tree.root.properties == {"a": b"\xff\0z"}
    assert [child.name for child in tree.root.children] == ["n"]


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ((ROOT, CLOSE), "ends early"),
        ((CLOSE, END), "token 0x2"),
        ((prop(0, b""), END), "token 0x3"),
        ((ROOT, b"\0\0\0\x07"), "token 0x7"),
        ((ROOT, CLOSE, ROOT, CLOSE, END), "more than one root"),
        ((ROOT, prop(0, b"abcd", 1 << 30), CLOSE, END), "`a` ends beyond"),
        ((ROOT, prop(9, b""), CLOSE, END), "name lies outside"),
        ((ROOT, prop(0, b""), prop(0, b"x"), CLOSE, END), "has `a` twice"),
        ((ROOT, BEGIN, b"n\0\0\0", CLOSE, BEGIN, b"n\0\0\0", CLOSE, CLOSE, END), "two nodes `n`"),
        ((BEGIN, b"abcd"), "name does not end"),
        ((ROOT, (BEGIN + b"n\0\0\0") * 80), "nested more than 64 deep"),
        ((ROOT, *(BEGIN + b"%06d\0\0" % n + CLOSE for n in range(5000)), CLOSE, END), "more than 4096 nodes"),
    ],
)
def test_parse__structure_block_wrong_in_one_token(tokens: tuple[bytes, ...], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_tree("x", structure(*tokens))


@given(st.binary(min_size=1, max_size=8), st.integers(0, 1500))
def test_parse__hostile_bytes_are_one_line(junk: bytes, at: int) -> None:
    data = generate(BOARD)
    try:
        tree = parse_tree("x", data[:at] + junk + data[at + len(junk) :])
        completed(tree, bootargs="y")
        check(tree, BOARD)
    except UserError as error:
        assert "\n" not in str(error)


def test_check__good_tree_passes() -> None:
    check(good(), BOARD)


SERVED = (
    "use what is served: 0x101000000 (uart), 0x103000000 (virtio), 0x13fff0000 (distributor), "
    "0x13ffb0000 (redistributors)"
)


@pytest.mark.parametrize("high", [0, 1])
def test_check__device_with_or_without_the_shared_bit_passes(high: int) -> None:
    """kvmtool has addresses without it; Linux finds RIPAS EMPTY there and sets the bit itself."""
    tree = good()
    for name, words in (("serial@1000000", (0x0100_0000, 0, 0x1000)), ("virtio@3000000", (0x0300_0000, 0, 0x200))):
        node(tree, name).properties.update(reg=reg(high, *words))
    check(tree, BOARD)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((0, 0x0900_0000, 0, 8), "0x9000000 is a protected address (RIPAS EMPTY), and no device is at its alias "
                                 "0x109000000"),
        ((1, 0x0900_0000, 0, 8), "0x109000000: no device is there"),
        ((0, 0x0300_0200, 0, 8), "0x3000200 is a protected address (RIPAS EMPTY), and no device is at its alias "
                                 "0x103000200"),
        ((0, 0x8FFF_F000, 0, 0x1000), "0x8ffff000 is the realm's RAM, and no device's"),
        ((1, 0x8000_0000, 0, 0x1000), "0x180000000: no device is there"),
        ((0, 0x0100_0000, 0, 0x1_0001), "0x1000000 is a protected address (RIPAS EMPTY), and no device is at its alias "
                                        "0x101000000"),
    ],
)  # fmt: skip
def test_check__device_that_is_not_served_names_what_is(words: tuple[int, ...], said: str) -> None:
    """RMM 1.0 has no RIPAS DEV: devices are in the shared half."""
    found = refused(lambda t: node(t, "serial@1000000").properties.update(reg=reg(*words)))
    assert found == f"my.dtb: `/serial@1000000`: {said}: {SERVED}"


def test_check__second_range_of_a_device_counts() -> None:
    gic = "interrupt-controller@3fff0000"
    said = refused(
        lambda t: node(t, gic).properties.update(reg=reg(1, 0x3FFF_0000, 0, 0x1_0000, 0, 0x3FEF_0000, 0, 0x2_0000))
    )
    assert "0x3fef0000 is a protected address" in said and "0x13ffb0000 (redistributors)" in said


def test_check__device_beyond_the_ipa_space() -> None:
    assert "beyond the realm's IPA space" in refused(
        lambda t: node(t, "virtio@3000000").properties.update(reg=reg(2, 0, 0, 0x200))
    )


def test_check__device_below_a_bus_is_seen_and_a_disabled_one_is_not() -> None:
    def below(tree: Tree, **properties: bytes) -> None:
        device = Node("rtc@1010000", {"reg": reg(0, 0x0101_0000, 0, 0x1000), **properties})
        cells = {"#address-cells": reg(2), "#size-cells": reg(2)}
        tree.root.children.append(Node("soc", {"ranges": b"", **cells}, [device]))

    assert "`/soc/rtc@1010000`: 0x1010000 is a protected address" in refused(below)
    tree = good()
    below(tree, status=b"disabled\0")
    check(tree, BOARD)


def test_check__early_console_by_the_tree_needs_the_shared_bit() -> None:
    def early(tree: Tree, high: int) -> Tree:
        node(tree, "chosen").properties.update(bootargs=b"earlycon\0")
        node(tree, "serial@1000000").properties.update(reg=reg(high, 0x0100_0000, 0, 8))
        return tree

    assert "use earlycon=uart,mmio,0x101000000" in refused(lambda t: early(t, 0))
    check(early(good(), 1), BOARD)


def test_check__bus_that_translates_is_named() -> None:
    def change(tree: Tree) -> None:
        tree.root.children.append(Node("pcie@40000000", {"ranges": reg(0, 0, 0, 0), "reg": reg(1, 0x4000_0000, 0, 1)}))

    assert "`/pcie@40000000`: a bus that translates addresses is not supported" in refused(change)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((0, 0x7FE0_0000, 0, 0x1000_0000), "0x7fe00000 to 0x8fe00000 is not all RAM"),
        ((0, 0x8000_0000, 0, 0x1000_1000), "0x80000000 to 0x90001000 is not all RAM"),
        ((0, 0x8000_0000, 0, 0x1000, 1, 0x8000_0000, 0, 0x1000), "0x180000000 to 0x180001000 is not all RAM"),
        ((0, 0x8000_0000, 0), "its reg has 12 bytes, no multiple of 16"),
        ((0, 0x8000_0000, 0, 0), "names no memory"),
    ],
)
def test_check__memory_that_is_not_the_realms(words: tuple[int, ...], said: str) -> None:
    assert said in refused(lambda t: node(t, "memory@80000000").properties.update(reg=reg(*words)))


def test_check__psci_by_hvc() -> None:
    assert "method `hvc`: a realm calls PSCI by `smc`" in refused(
        lambda t: node(t, "psci").properties.update(method=b"hvc\0")
    )


def test_check__psci_that_is_missing() -> None:
    """Linux, arch/arm64/kernel/rsi.c: without the SMC conduit it is in no realm."""
    assert "names no psci" in refused(lambda t: t.root.children.remove(node(t, "psci")))


def test_check__cpus_must_be_recs() -> None:
    assert "MPIDR 0x5; the realm has 0x0, 0x1" in refused(lambda t: node(t, "cpus/cpu@1").properties.update(reg=reg(5)))
    assert "names no cpu" in refused(lambda t: node(t, "cpus").children.clear())


def test_check__initrd_outside_ram() -> None:
    change = {"linux,initrd-start": reg(0x7000_0000), "linux,initrd-end": reg(0x7000_1000)}
    assert "its initrd, 0x70000000 to 0x70001000" in refused(lambda t: node(t, "chosen").properties.update(change))


def test_check__console_of_its_command_line() -> None:
    change = {"bootargs": b"earlycon=uart,mmio,0x1000000\0"}
    assert "use 0x101000000" in refused(lambda t: node(t, "chosen").properties.update(change))


def test_check__addresses_of_three_cells() -> None:
    assert "addresses of 3 cells are not supported" in refused(
        lambda t: t.root.properties.update({"#address-cells": reg(3)})
    )


def test_completed__changes_chosen_and_nothing_else() -> None:
    tree = good()
    tree.root.children.append(Node("odd", {"mixed": b"text\0\xff", "empty": b"", "strings": b"a\0\0b\0"}))
    after = parse_tree("x", completed(tree, bootargs="earlycon", initrd=(0x8300_0000, 0x8300_0123)))
    assert bootargs(after) == "earlycon"
    assert initrd_range(after) == (0x8300_0000, 0x8300_0123)
    assert node(after, "chosen").text("stdout-path") == "serial0"
    assert node(after, "odd").properties == {"mixed": b"text\0\xff", "empty": b"", "strings": b"a\0\0b\0"}
    untouched = {c.name: c for c in tree.root.children if c.name != "chosen"}
    assert {c.name: c for c in after.root.children if c.name != "chosen"} == untouched


def test_completed__keeps_what_is_not_replaced_and_reserved_memory() -> None:
    tree = Tree("x", good().root, ((0x8800_0000, 0x1000),))
    after = parse_tree("x", completed(tree))
    assert bootargs(after) == "quiet"
    assert after.reserved == ((0x8800_0000, 0x1000),)
    assert parse_tree("x", write_tree(good())).reserved == ()
