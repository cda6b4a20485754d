# SPDX-License-Identifier: GPL-2.0-or-later
"""Files, their layers and command-line overrides, merged into one tree."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bridge.errors import ConfigError, did_you_mean

from . import shipped, tree
from .tree import Node

MAX_LAYERS = 32


class Merge:
    """One reading of a machine file.  directories: for each file the folder that names in it are relative to."""

    def __init__(self) -> None:
        self.directories: dict[str, str] = {}
        self._reads = 0
        self._chain: list[str] = []

    def read(self, path: str) -> Node:
        """The tree of `path` over its layers; `path` is shown in errors as it is given here."""
        real = os.path.realpath(path)
        self._reads += 1
        self.directories[path] = os.path.dirname(path)
        node = tree.parse(read_file(path), path)
        if not isinstance(node.value, dict):
            raise ConfigError(f"{node.where()}: expected a mapping with keys such as `memory`, got {kind(node)}")
        self._chain.append(real)
        base = Node({}, path, node.line, node.column)
        for layer in _layer_list(node):
            base = merge(base, self.read(self._resolve(layer)))
        self._chain.pop()
        return merge(base, node)

    def _resolve(self, layer: Node) -> str:
        name = str(layer.value)
        if self._reads >= MAX_LAYERS:
            raise ConfigError(f"{layer.where()}: more than {MAX_LAYERS} files in one machine")
        if "\0" in name or not name:
            raise ConfigError(f"{layer.where()}: expected the path of a machine file")
        path = os.path.join(self.directories[layer.file], name)
        if not os.path.exists(path):
            found = shipped.find(name)
            if found is None:
                known = shipped.names(boards=True)
                hint = did_you_mean(name.removesuffix(".yaml"), known)
                raise ConfigError(f"{layer.where()}: layer `{name}`: no such file{hint}")
            path = str(found)
        if os.path.realpath(path) in self._chain:
            raise ConfigError(f"{layer.where()}: layer `{name}` builds on this file itself")
        return path


def read_file(path: str) -> bytes:
    """A machine file's bytes; ConfigError when it is missing, no regular file, unreadable or huge."""
    try:
        with open(path, "rb", opener=_nonblocking) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError(f"{path}: not a file")
            return file.read(tree.MAX_BYTES + 1)
    except IsADirectoryError:
        raise ConfigError(f"{path}: a directory, expected a machine file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"{path}: {reason}") from None


def _nonblocking(path: str, flags: int) -> int:
    # A FIFO without a writer would hang the open.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _layer_list(node: Node) -> list[Node]:
    assert isinstance(node.value, dict)
    layers = node.value.get("layers")
    if layers is None or layers.value is None:
        return []
    if not isinstance(layers.value, list):
        raise ConfigError(f"{layers.where()}: layers: expected a list of machine files, got {kind(layers)}")
    for layer in layers.value:
        if not isinstance(layer.value, str):
            raise ConfigError(f"{layer.where()}: layers: expected the path of a machine file, got {kind(layer)}")
    return layers.value


def kind(node: Node) -> str:
    """What a node is, for an error message."""
    value = node.value
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    text = str(value)
    return f"`{text}`" if len(text) <= 60 else f"`{text[:57]}...`"


def merge(base: Node, over: Node) -> Node:
    """`over` on top of `base`: mappings merge, null deletes, everything else replaces."""
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    merged = dict(base.value)
    for key, node in over.value.items():
        below = merged.get(key)
        if node.value is None:
            merged.pop(key, None)
        elif below is not None:
            merged[key] = merge(below, node)
        else:
            merged[key] = node
    # What comes from the command line has no lines: a key that neither has is missing in the file.
    return _same_place(over if over.line else base, merged)


def _same_place(node: Node, value: tree.Value) -> Node:
    copy = Node(value, node.file, node.line, node.column)
    copy.key_line, copy.key_column = node.key_line, node.key_column
    return copy


def override(root: Node, text: str, named: tuple[str, ...]) -> Node:
    """`memory.dram.size=1G` on top of a tree; a list's element is given by its number or its `name`.

    `named`: the top-level mappings whose keys are the user's; there only an existing entry can be changed
    key by key.
    """
    label = f"-s {text}"
    path, equals, value = text.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"{label}: expected KEY=VALUE such as memory.dram.size=1G")
    leaf = tree.parse(value if value.strip() else "null", label, placed=False)
    return _replace(root, keys, leaf, label, keys[0] in named)


def _replace(node: Node, keys: list[str], leaf: Node, label: str, named: bool) -> Node:
    key, rest = keys[0], keys[1:]
    if isinstance(node.value, list):
        index = _element(node.value, key, label)
        items = list(node.value)
        items[index] = _replace(items[index], rest, leaf, label, False) if rest else leaf
        return _same_place(node, items)
    if not isinstance(node.value, dict):
        raise ConfigError(f"{label}: `{key}` stands below {kind(node)}, which is no mapping")
    below = node.value.get(key)
    if rest:
        if below is None or below.value is None:
            below = Node({}, label)
        if named and len(rest) > 1 and isinstance(below.value, dict) and rest[0] not in below.value:
            raise ConfigError(f"{label}: there is no `{rest[0]}` in `{key}`{did_you_mean(rest[0], list(below.value))}")
        return _same_place(node, {**node.value, key: _replace(below, rest, leaf, label, False)})
    if leaf.value is None:
        return _same_place(node, {k: v for k, v in node.value.items() if k != key})
    return _same_place(node, {**node.value, key: merge(below, leaf) if below is not None else leaf})


def _element(items: list[Node], key: str, label: str) -> int:
    if key.isascii() and key.isdigit() and len(key) < 10:
        if int(key) < len(items):
            return int(key)
        raise ConfigError(f"{label}: there is no element {int(key)}: the list has {len(items)}")
    known: list[str] = []
    for index, item in enumerate(items):
        name = item.value.get("name") if isinstance(item.value, dict) else None
        if name is not None and name.value == key:
            return index
        known.append(str(name.value) if name is not None else str(index))
    raise ConfigError(f"{label}: there is no element `{key}`{did_you_mean(key, known)}")


def from_plain(value: object, label: str) -> Node:
    """A tree of builtins (a layer made by a program); errors in it are shown under `label`."""
    if isinstance(value, dict):
        return Node({str(key): from_plain(item, label) for key, item in value.items()}, label)
    if isinstance(value, (list, tuple)):
        return Node([from_plain(item, label) for item in value], label)
    if isinstance(value, (Path, int, str)) or value is None:
        return Node(value if isinstance(value, (int, str)) or value is None else str(value), label)
    raise TypeError(f"{label}: a machine file has no value of type {type(value).__name__}")
