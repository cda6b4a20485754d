# SPDX-License-Identifier: GPL-2.0-or-later
"""A device tree that the user gives: read, checked against the realm, completed with what the launch adds.

Reading is done here (Devicetree Specification 0.4, §5): the `fdt` package, which writes, refuses FDT_NOP, shares the
reserved entries of one tree with the next, and guesses types, so that a tree would not come out as it went in.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.errors import UserError, one_line
from bridge.image import read_bytes

from . import command_line
from .fdt import Board
from .placement import MAX_DTB

_MAGIC = 0xD00DFEED
_HEADER = struct.Struct(">10I")
_BEGIN, _END_NODE, _PROP, _NOP, _END = 1, 2, 3, 4, 9
_MAX_DEPTH = 64
_MAX_NODES = 4096
_MAX_PROPERTIES = 256
# No devices: their reg is not an address of the bus that they are on.
_NO_DEVICES = frozenset({"cpus", "memory", "reserved-memory", "chosen", "aliases", "options"})


@dataclass(slots=True)
class Node:
    """A node with its properties as bytes."""

    name: str
    properties: dict[str, bytes] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)

    def child(self, name: str) -> Node | None:
        return next((child for child in self.children if child.name == name), None)

    def cells(self, name: str, default: int) -> int:
        """#address-cells or #size-cells of this node, for its children."""
        raw = self.properties.get(name, b"")
        return int.from_bytes(raw, "big") if len(raw) == 4 else default

    def text(self, name: str) -> str:
        """The first string of a property, or nothing."""
        return self.properties.get(name, b"").split(b"\0")[0].decode("ascii", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Tree:
    """A device tree.  reserved: (address, size) of its memory reservation block."""

    path: str
    root: Node
    reserved: tuple[tuple[int, int], ...]


def read_tree(path: str | os.PathLike[str]) -> Tree:
    """Reads one flattened device tree; UserError says what is wrong with the file."""
    name = os.fspath(path)
    return parse_tree(name, read_bytes(name))


def parse_tree(path: str, data: bytes) -> Tree:
    """The same, of `data`."""

    def bad(what: str) -> UserError:
        return UserError(f"{path}: malformed device tree: {what}")

    if len(data) < 4 or int.from_bytes(data[:4], "big") != _MAGIC:
        raise UserError(f"{path}: not a flattened device tree: it does not begin with d00dfeed")
    if len(data) < _HEADER.size:
        raise UserError(f"{path}: truncated: {len(data)} bytes, the header alone has {_HEADER.size}")
    _, total, struct_at, strings_at, reserved_at, version, last, _, strings_size, struct_size = _HEADER.unpack_from(
        data
    )
    if version < 17 or last > 17:
        raise bad(f"version {version}, compatible with {last}: 17 is supported")
    if total > len(data):
        raise UserError(f"{path}: truncated: its header says {total} bytes, the file has {len(data)}")
    if total > MAX_DTB:
        raise UserError(f"{path}: a device tree of {total} bytes: at most {MAX_DTB} are allowed")
    for what, start, size in (("structure", struct_at, struct_size), ("strings", strings_at, strings_size)):
        if start < _HEADER.size or start + size > total:
            raise bad(f"its {what} block lies outside its total size of {total} bytes")
    if struct_at % 4 or reserved_at % 8:
        raise bad("a block of it is not aligned")
    reserved = tuple(_reserved(data[:total], reserved_at, bad))
    strings = data[strings_at : strings_at + strings_size]
    return Tree(path, _Reader(data[struct_at : struct_at + struct_size], strings, bad).root(), reserved)


def _reserved(data: bytes, at: int, bad: Any) -> Iterator[tuple[int, int]]:
    while at + 16 <= len(data):
        address, size = struct.unpack_from(">QQ", data, at)
        if not address and not size:
            return
        yield address, size
        at += 16
    raise bad("its memory reservation block does not end")


class _Reader:
    """The structure block, token by token (§5.4)."""

    def __init__(self, data: bytes, strings: bytes, bad: Any) -> None:
        self._data, self._strings, self._bad = data, strings, bad
        self._at = 0

    def root(self) -> Node:
        stack: list[Node] = []
        nodes = 0
        while True:
            token = self._word()
            if token == _NOP:
                continue
            if token == _BEGIN:
                node = Node(self._name())
                if stack and (not node.name or stack[-1].child(node.name) is not None):
                    raise self._bad(
                        f"node `{stack[-1].name or '/'}` has two nodes `{node.name}`, or one without a name"
                    )
                nodes += 1
                if nodes > _MAX_NODES:
                    raise self._bad(f"more than {_MAX_NODES} nodes")
                if len(stack) == _MAX_DEPTH:
                    raise self._bad(f"nodes nested more than {_MAX_DEPTH} deep")
                if stack:
                    stack[-1].children.append(node)
                stack.append(node)
            elif token == _PROP and stack:
                name, value = self._property()
                if name in stack[-1].properties:
                    raise self._bad(f"node `{stack[-1].name or '/'}` has `{name}` twice")
                if len(stack[-1].properties) == _MAX_PROPERTIES:
                    raise self._bad(f"node `{stack[-1].name or '/'}` has more than {_MAX_PROPERTIES} properties")
                stack[-1].properties[name] = value
            elif token == _END_NODE and stack:
                node = stack.pop()
                if not stack:
                    return self._last(node)
            else:
                raise self._bad(f"token {token:#x} at {self._at - 4:#x} of its structure block")

    def _last(self, root: Node) -> Node:
        while (token := self._word()) == _NOP:
            continue
        if token != _END:
            raise self._bad("more than one root node")
        return root

    def _word(self) -> int:
        if self._at + 4 > len(self._data):
            raise self._bad("its structure block ends early")
        word = int.from_bytes(self._data[self._at : self._at + 4], "big")
        self._at += 4
        return word

    def _name(self) -> str:
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise self._bad("a node's name does not end")
        name = _text(self._data[self._at : end])
        self._at = (end + 4) & ~3
        return name

    def _property(self) -> tuple[str, bytes]:
        size, offset = self._word(), self._word()
        end = self._strings.find(b"\0", offset)
        if end < 0:
            raise self._bad("a property's name lies outside its strings block")
        name = _text(self._strings[offset:end])
        if self._at + size > len(self._data):
            raise self._bad(f"property `{name}` ends beyond its structure block")
        value = self._data[self._at : self._at + size]
        self._at = (self._at + size + 3) & ~3
        return name, value


def _text(raw: bytes) -> str:
    return one_line(raw.decode("ascii", "backslashreplace"))


def check(tree: Tree, board: Board) -> None:
    """Whether a realm of this board can be what the tree says; UserError names the first lie.

    Memory must be the realm's RAM, devices those that are served, PSCI by SMC, vCPUs those that there are.
    """
    memory = [
        (node, base, size)
        for node in tree.root.children
        if node.text("device_type") == "memory"
        for base, size in _ranges(tree, node, tree.root)
    ]
    if not any(size for _, _, size in memory):
        raise UserError(f"{tree.path}: names no memory")
    end = board.ram_base + board.ram_size
    for node, base, size in memory:
        if size and (base < board.ram_base or base + size > end):
            raise UserError(
                f"{tree.path}: `{node.name}`: {base:#x} to {base + size:#x} is not all RAM of the realm, which is "
                f"{board.ram_base:#x} to {end:#x}"
            )
    _check_devices(tree, board, tree.root, "")
    _check_cpus(tree, board)
    psci = next((node for node in tree.root.children if "arm,psci" in node.text("compatible")), None)
    if psci is None:
        raise UserError(f"{tree.path}: names no psci: without it Linux does not look for RSI")
    if psci.text("method") != "smc":
        raise UserError(f"{tree.path}: `{psci.name}`: method `{psci.text('method')}`: a realm calls PSCI by `smc`")
    early = board.earlycon if stdout_is_protected(tree, board) else None
    command_line.check(bootargs(tree), board.shared_bit, earlycon=early)
    initrd = initrd_range(tree)
    if initrd is not None and not board.ram_base <= initrd[0] <= initrd[1] <= end:
        raise UserError(f"{tree.path}: its initrd, {initrd[0]:#x} to {initrd[1]:#x}, is not in the realm's RAM")


def _check_devices(tree: Tree, board: Board, bus: Node, path: str) -> None:
    for node in bus.children:
        if node.name.split("@")[0] in _NO_DEVICES or node.text("device_type") == "memory":
            continue
        if node.text("status") not in ("", "ok", "okay"):
            continue
        if node.properties.get("ranges"):
            raise UserError(f"{tree.path}: `{path}/{node.name}`: a bus that translates addresses is not supported")
        for base, size in _ranges(tree, node, bus):
            _check_device(tree, board, f"{path}/{node.name}", base, size)
        # Only a bus whose addresses are those of its parent; what an I2C or PCI bus has is no memory.
        if node.properties.get("ranges") == b"":
            _check_devices(tree, board, node, f"{path}/{node.name}")


def _check_device(tree: Tree, board: Board, name: str, base: int, size: int) -> None:
    """A device is served at its unprotected address.  Without the shared bit it is accepted too, as kvmtool has it:
    Linux finds RIPAS EMPTY there and sets the bit."""
    if base + size > board.shared_bit << 1:
        raise UserError(f"{tree.path}: `{name}`: {base:#x} + {size:#x} ends beyond the realm's IPA space")
    bare = base & ~board.shared_bit
    windows = board.windows()
    if any(start <= bare and bare + size <= start + length for _, start, length in windows):
        return
    what = f"{tree.path}: `{name}`: {base:#x}"
    if base < board.ram_base + board.ram_size and base + size > board.ram_base:
        what = f"{what} is the realm's RAM, and no device's"
    elif base < board.shared_bit:
        what = (
            f"{what} is a protected address (RIPAS EMPTY), and no device is at its alias {bare | board.shared_bit:#x}"
        )
    else:
        what = f"{what}: no device is there"
    there = ", ".join(f"{start | board.shared_bit:#x} ({device})" for device, start, _ in windows)
    raise UserError(f"{what}: use what is served: {there}")


def _check_cpus(tree: Tree, board: Board) -> None:
    cpus = tree.root.child("cpus") or Node("cpus")
    found = [
        int.from_bytes(node.properties.get("reg", b""), "big")
        for node in cpus.children
        if node.text("device_type") == "cpu" and node.text("status") not in ("disabled", "fail")
    ]
    if not found:
        raise UserError(f"{tree.path}: names no cpu")
    for mpidr in found:
        if mpidr not in board.mpidrs:
            raise UserError(f"{tree.path}: names a cpu with MPIDR {mpidr:#x}; the realm has {_list(board.mpidrs)}")


def _list(values: tuple[int, ...]) -> str:
    return ", ".join(f"{value:#x}" for value in values)


def _ranges(tree: Tree, node: Node, bus: Node) -> list[tuple[int, int]]:
    """(base, size) pairs of a node's reg."""
    address_cells, size_cells = bus.cells("#address-cells", 2), bus.cells("#size-cells", 1)
    raw = node.properties.get("reg", b"")
    if address_cells not in (1, 2) or size_cells not in (0, 1, 2):
        if raw:
            raise UserError(f"{tree.path}: `{node.name}`: addresses of {address_cells} cells are not supported")
        return []
    step = 4 * (address_cells + size_cells)
    if len(raw) % step:
        raise UserError(f"{tree.path}: `{node.name}`: its reg has {len(raw)} bytes, no multiple of {step}")
    split = 4 * address_cells
    pieces = [raw[at : at + step] for at in range(0, len(raw), step)]
    return [(int.from_bytes(p[:split], "big"), int.from_bytes(p[split:], "big")) for p in pieces]


def initrd_range(tree: Tree) -> tuple[int, int] | None:
    """(base, end) of /chosen/linux,initrd-*, or None."""
    chosen = tree.root.child("chosen") or Node("chosen")
    start, end = (chosen.properties.get(f"linux,initrd-{name}") for name in ("start", "end"))
    if start is None or end is None:
        return None
    return int.from_bytes(start, "big"), int.from_bytes(end, "big")


def stdout_is_protected(tree: Tree, board: Board) -> bool:
    """Whether /chosen/stdout-path is a device of the root whose address lacks the shared bit."""
    path = (tree.root.child("chosen") or Node("chosen")).text("stdout-path").split(":")[0]
    if not path.startswith("/"):
        path = (tree.root.child("aliases") or Node("aliases")).text(path)
    node = tree.root.child(path.removeprefix("/"))
    return node is not None and any(base < board.shared_bit for base, _ in _ranges(tree, node, tree.root))


def bootargs(tree: Tree) -> str:
    """The kernel command line in /chosen."""
    chosen = tree.root.child("chosen")
    return chosen.text("bootargs") if chosen is not None else ""


def completed(tree: Tree, *, bootargs: str | None = None, initrd: tuple[int, int] | None = None) -> bytes:
    """The tree as a file, with the command line and the initrd of this launch in /chosen; all else as it was.

    To be checked after, as what it has become: `check(parse_tree(…))`.
    """
    changes: dict[str, bytes] = {}
    if bootargs is not None:
        command_line.check(bootargs)
        changes["bootargs"] = bootargs.encode("ascii") + b"\0"
    if initrd is not None:
        changes["linux,initrd-start"], changes["linux,initrd-end"] = (a.to_bytes(8, "big") for a in initrd)
    data = write_tree(replace(tree, root=_with_chosen(tree.root, changes)))
    if len(data) > MAX_DTB:
        raise UserError(f"{tree.path}: a device tree of {len(data)} bytes: at most {MAX_DTB} are allowed")
    return data


def _with_chosen(root: Node, changes: dict[str, bytes]) -> Node:
    old = root.child("chosen") or Node("chosen")
    new = Node("chosen", old.properties | changes, old.children)
    others = [child for child in root.children if child is not old]
    return Node(root.name, root.properties, [new, *others])


def write_tree(tree: Tree) -> bytes:
    """A tree as a flattened device tree."""
    import fdt

    out = fdt.FDT(entries=[{"address": address, "size": size} for address, size in tree.reserved])
    out.header.version = 17
    _fill(out.root, tree.root)
    data: bytes = out.to_dtb()
    return data


def _fill(node: Any, source: Node) -> None:
    import fdt

    for name, value in source.properties.items():
        node.append(fdt.PropBytes(name, data=value) if value else fdt.Property(name))
    for child in source.children:
        inner = fdt.Node(child.name)
        node.append(inner)
        _fill(inner, child)
