# SPDX-License-Identifier: GPL-2.0-or-later
"""YAML text to a tree whose every node knows its file, line and column.

Built from the parser's events: nothing recurses, so no text can exhaust the stack, and aliases are counted
as often as they are used.  The accepted scalars are null, true, false, unsigned integers and text; the other
words of YAML 1.1 (`yes`, `on`, `017`, `1:30`, `1.5`) stay text and meet the check of the key's type.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from bridge.errors import ConfigError

from .scalars import integer

Value: TypeAlias = "bool | int | str | list[Node] | dict[str, Node] | None"

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 50_000

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {w: v for v in (True, False) for w in (str(v), str(v).lower(), str(v).upper())}
_TEXT_TAGS = frozenset({None, "!", "tag:yaml.org,2002:str"})
_COLLECTION_TAGS = frozenset({None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


class Node:
    """One YAML node.  `key` is where its key stands, in a mapping; lines and columns count from 1."""

    __slots__ = ("value", "file", "line", "column", "key_line", "key_column")

    def __init__(self, value: Value, file: str, line: int = 0, column: int = 0) -> None:
        self.value = value
        self.file = file
        self.line = line
        self.column = column
        self.key_line = line
        self.key_column = column

    def where(self) -> str:
        return position(self.file, self.line, self.column)

    def where_key(self) -> str:
        return position(self.file, self.key_line, self.key_column)

    def plain(self) -> Any:
        """The value with builtins only; keys without a value are left out."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items() if child.value is not None}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value


def position(file: str, line: int, column: int) -> str:
    """`file:line:col`; the file alone where there is no line (a command-line override)."""
    return f"{file}:{line}:{column}" if line else file


def parse(data: bytes | str, file: str, *, placed: bool = True) -> Node:
    """The tree of one YAML document; ConfigError with the place of whatever is wrong.

    placed: False for a text without lines, such as a command-line override.
    """
    import yaml  # 40 ms: only when there is YAML to read

    if isinstance(data, bytes):
        data = _decode(data, file)
    loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(file, placed)
    try:
        for event in yaml.parse(data, Loader=loader):
            builder.feed(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = position(file, mark.line + 1, mark.column + 1) if mark and placed else file
        raise ConfigError(f"{where}: not YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = data.count("\n", 0, error.position) + 1 if placed else 0
        raise ConfigError(f"{position(file, line, 1)}: not YAML: {error.reason}") from None
    if builder.root is None:
        raise ConfigError(f"{file}: empty: expected a machine file")
    return builder.root


def _decode(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{file}: larger than {MAX_BYTES >> 10}K: not a machine file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        bad = data[error.start]
        raise ConfigError(f"{file}:{line}:{column}: expected UTF-8, got byte {bad:#04x}") from None


class _Open:
    """A collection whose end the parser has not reached: its node, and the key that waits for a value."""

    __slots__ = ("node", "anchor", "start", "key", "key_node")

    def __init__(self, node: Node, anchor: str | None, start: int) -> None:
        self.node = node
        self.anchor = anchor
        self.start = start
        self.key: str | None = None
        self.key_node: Node | None = None


class _Builder:
    """Puts the parser's events together."""

    def __init__(self, file: str, placed: bool) -> None:
        self.file = file
        self.placed = placed
        self.root: Node | None = None
        self.open: list[_Open] = []
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.count = 0

    def feed(self, event: Any) -> None:
        match type(event).__name__:
            case "ScalarEvent":
                self._place(event, self._node(event, self._scalar(event)), 1)
            case "SequenceStartEvent":
                self._enter(event, [])
            case "MappingStartEvent":
                self._enter(event, {})
            case "SequenceEndEvent" | "MappingEndEvent":
                done = self.open.pop()
                if done.anchor is not None:
                    self.anchors[done.anchor] = (done.node, self.count - done.start)
            case "AliasEvent":
                self._alias(event)
            case "DocumentStartEvent" if self.root is not None:
                raise self.error(event, "expected one document, got a second one")

    def error(self, event: Any, text: str) -> ConfigError:
        return ConfigError(f"{position(self.file, *self._place_of(event))}: {text}")

    def _place_of(self, event: Any) -> tuple[int, int]:
        return (event.start_mark.line + 1, event.start_mark.column + 1) if self.placed else (0, 0)

    def _node(self, event: Any, value: Value) -> Node:
        return Node(value, self.file, *self._place_of(event))

    def _enter(self, event: Any, empty: Value) -> None:
        if event.tag not in _COLLECTION_TAGS:
            raise self.error(event, f"tags such as `{event.tag}` are not supported")
        if len(self.open) >= MAX_DEPTH:
            raise self.error(event, f"nested more than {MAX_DEPTH} deep")
        node = self._node(event, empty)
        start = self.count
        self._place(event, node, 1)
        self.open.append(_Open(node, event.anchor, start))

    def _alias(self, event: Any) -> None:
        name = event.anchor
        if any(name == collection.anchor for collection in self.open):
            raise self.error(event, f"alias `*{name}` stands inside what it names")
        if name not in self.anchors:
            raise self.error(event, f"alias `*{name}` names no anchor")
        target, size = self.anchors[name]
        # A node of its own: the same value stands under another key here.
        self._place(event, Node(target.value, target.file, target.line, target.column), size)

    def _place(self, event: Any, node: Node, size: int) -> None:
        self.count += size
        if self.count > MAX_NODES:
            raise self.error(event, f"more than {MAX_NODES} values, aliases counted: not a machine file")
        if not self.open:
            self.root = node
            if type(event).__name__ == "ScalarEvent" and event.anchor is not None:
                self.anchors[event.anchor] = (node, 1)
            return
        top = self.open[-1]
        parent = top.node.value
        if isinstance(parent, list):
            parent.append(node)
        elif isinstance(parent, dict) and top.key is None:
            top.key = self._key(event, node, parent)
            top.key_node = node
        elif isinstance(parent, dict) and top.key is not None and top.key_node is not None:
            node.key_line, node.key_column = top.key_node.line, top.key_node.column
            parent[top.key] = node
            top.key = top.key_node = None
        if type(event).__name__ == "ScalarEvent" and event.anchor is not None:
            self.anchors[event.anchor] = (node, 1)

    def _key(self, event: Any, node: Node, parent: dict[str, Node]) -> str:
        if isinstance(node.value, (dict, list)):
            raise self.error(event, "a key must be text")
        key = str(event.value if type(event).__name__ == "ScalarEvent" else node.value)
        if key == "<<":
            raise self.error(event, "merge keys (`<<`) are not supported: use `layers`")
        if key in parent:
            first = parent[key].key_line
            raise self.error(event, f"key `{key[:80]}` stands here twice, first on line {first}")
        return key

    def _scalar(self, event: Any) -> Value:
        text = str(event.value)
        if event.tag not in _TEXT_TAGS:
            raise self.error(event, f"tags such as `{event.tag}` are not supported")
        if event.tag is not None or not event.implicit[0]:
            return text
        if text in _NULLS:
            return None
        if text in _BOOLS:
            return _BOOLS[text]
        number = integer(text.removeprefix("-"))
        if number is None:
            return text
        return -number if text.startswith("-") else number
