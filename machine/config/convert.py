# SPDX-License-Identifier: GPL-2.0-or-later
"""A merged tree to the declared types, and what is wrong with it in one line.

msgspec checks; this module finds the node that a failed check speaks of and says it in the file's own terms.
"""

from __future__ import annotations

import re
import typing
from typing import Any

import msgspec

from bridge.errors import ConfigError, did_you_mean

from .layers import kind
from .scalars import dec_hook
from .tree import Node
from .types import MachineFile

Path = tuple[str | int, ...]

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|(\[\.\.\.\])")
_WORDS = {
    "int": "an integer",
    "str": "text",
    "bool": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}


def to_machine(root: Node) -> MachineFile:
    """The typed machine file of a merged tree; ConfigError naming the place of the first thing wrong."""
    plain = root.plain()
    try:
        return _convert(plain)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(root, plain, str(error))) from None


def _convert(plain: Any) -> MachineFile:
    return msgspec.convert(plain, MachineFile, dec_hook=dec_hook)


def _explain(root: Node, plain: Any, error: str) -> str:
    message, _, place = error.rpartition(" - at ")
    if not message:
        message, place = error, "`$`"
    key_error = place.startswith("`key` in ")
    steps = _STEP.findall(place.rpartition("`$")[2].rstrip("`"))
    path = _exact(plain, [(name, index) for name, index, _ in steps])
    if key_error:
        return _bad_key(root, plain, path)
    node, where = find(root, path)
    label = text_of(path)
    prefix = f"{label}: " if label else ""
    if match := re.fullmatch(r"Object contains unknown field `(.*)`", message, re.DOTALL):
        key = match[1]
        child = node.value.get(key) if isinstance(node.value, dict) else None
        at = child.where_key() if child else where
        known = _keys(path, node)
        hint = did_you_mean(key, known) or (f" (known: {', '.join(known)})" if len(known) <= 12 else "")
        return f"{at}: {prefix}unknown key `{_short(key)}`{hint}"
    if match := re.fullmatch(r"Object missing required field `(.*)`", message):
        return f"{where}: {prefix}the key `{match[1]}` is missing"
    if message.startswith("Invalid "):
        choices = _choices(path, node, root)
        got = kind(node)
        hint = did_you_mean(str(node.value), choices) if len(choices) > 1 else ""
        return f"{where}: {prefix}expected {_either(choices)}, got {got}{hint}"
    if match := re.fullmatch(r"Expected `([^`]*)`, got `[^`]*`", message):
        words = [_WORDS.get(word, word) for word in match[1].split(" | ") if word != "null"]
        return f"{where}: {prefix}expected {_either(words, quote=False)}, got {kind(node)}"
    if match := re.fullmatch(r"Expected `int` (<=|>=) (\S+)", message):
        bound = "at most" if match[1] == "<=" else "at least"
        return f"{where}: {prefix}expected {bound} {match[2]}, got {kind(node)}"
    if match := re.fullmatch(r"Expected `(\w+)` of length (<=|>=) (\d+)", message):
        bound = "at most" if match[2] == "<=" else "at least"
        unit = "characters" if match[1] == "str" else "entries"
        return f"{where}: {prefix}expected {bound} {match[3]} {unit}"
    if message.startswith("Expected `str` matching regex"):
        return f"{where}: {prefix}expected a name of letters, digits, `_`, `-` and `.`, got {kind(node)}"
    got = "" if " got " in message else f", got {kind(node)}"
    return f"{where}: {prefix}{message[:1].lower()}{message[1:]}{got}"


def _bad_key(root: Node, plain: Any, path: Path) -> str:
    node, where = find(root, path)
    assert isinstance(node.value, dict)
    registers = path == ("boot", "registers")
    good = re.compile(r"x([0-9]|[12][0-9]|30)" if registers else r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
    rule = "a register x0 to x30" if registers else "a name of letters, digits, `_`, `-` and `.`"
    for key, child in node.value.items():
        if not good.fullmatch(key):
            return f"{child.where_key()}: {text_of(path)}: expected {rule}, got `{_short(key)}`"
    return f"{where}: {text_of(path)}: expected {rule}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _either(words: list[str], *, quote: bool = True) -> str:
    shown = [f"`{word}`" if quote else word for word in words]
    return " or ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _exact(plain: Any, steps: list[tuple[str, str]]) -> Path:
    """The path with the keys that msgspec leaves out of it (`$.memory[...]`).

    One entry alone is given to the same check again, until it fails alone.
    """
    path: list[str | int] = []
    here = plain
    for name, index in steps:
        if name:
            path.append(name)
            here = here.get(name) if isinstance(here, dict) else None
        elif index:
            path.append(int(index))
            here = here[int(index)] if isinstance(here, list) else None
        elif isinstance(here, dict):
            key = next((k for k in here if _fails(plain, path, k)), None)
            if key is None:
                break
            path.append(key)
            here = here[key]
    return tuple(path)


def _fails(plain: Any, path: list[str | int], key: str) -> bool:
    def only(value: Any, rest: list[str | int]) -> Any:
        if not rest:
            return {key: value[key]}
        if isinstance(value, list):
            index = int(rest[0])
            return [*value[:index], only(value[index], rest[1:]), *value[index + 1 :]]
        return {**value, rest[0]: only(value[rest[0]], rest[1:])}

    try:
        _convert(only(plain, path))
    except msgspec.ValidationError as error:
        return "[...]" in str(error)
    return False


def find(root: Node, path: Path) -> tuple[Node, str]:
    """The node at `path`, or the nearest one above it that is in the file, and its `file:line:col`."""
    node, where = root, root.where()
    for step in path:
        child: Node | None = None
        if isinstance(node.value, dict):
            child = node.value.get(str(step))
        elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
            child = node.value[step]
        if child is None:
            break
        node = child
        # A collection's own mark is its first key, one line further on.
        where = node.where_key() if isinstance(node.value, (dict, list)) else node.where()
    return node, where


def text_of(path: Path) -> str:
    """`realms[0].ram.size`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def type_at(path: Path, root: Node | None = None) -> Any:
    """The declared type at `path`; of a device the one that its `type` names."""
    declared: Any = MachineFile
    for depth, step in enumerate(path):
        declared = _plain_type(declared)
        origin, args = typing.get_origin(declared), typing.get_args(declared)
        if origin is dict:
            declared = args[1]
        elif origin is list:
            declared = args[0]
        elif isinstance(declared, type) and issubclass(declared, msgspec.Struct):
            declared = typing.get_type_hints(declared).get(str(step))
        else:
            structs = [arg for arg in args if isinstance(arg, type) and issubclass(arg, msgspec.Struct)]
            tag = None
            if root is not None:
                node, _ = find(root, (*path[:depth], "type"))
                tag = node.value
            match = [s for s in structs if s.__struct_config__.tag == tag or len(structs) == 1]
            declared = typing.get_type_hints(match[0]).get(str(step)) if match else None
    return _plain_type(declared)


def _plain_type(declared: Any) -> Any:
    """Without Annotated and without None."""
    if typing.get_origin(declared) is typing.Annotated:
        declared = typing.get_args(declared)[0]
    args = [arg for arg in typing.get_args(declared) if arg is not type(None)]
    if len(args) == 1 and typing.get_origin(declared) not in (list, dict, typing.Literal):
        return args[0]
    return declared


def _keys(path: Path, node: Node) -> list[str]:
    declared = type_at(path)
    structs = [declared, *typing.get_args(declared)]
    tag = None
    if isinstance(node.value, dict) and (tag_node := node.value.get("type")) is not None:
        tag = tag_node.value
    for struct in structs:
        if isinstance(struct, type) and issubclass(struct, msgspec.Struct):
            config = struct.__struct_config__
            if config.tag is None or config.tag == tag:
                return [*struct.__struct_encode_fields__, *([config.tag_field] if config.tag_field else [])]
    return []


def _choices(path: Path, node: Node, root: Node) -> list[str]:
    if path and path[-1] == "type":
        structs = typing.get_args(type_at(path[:-1]))
        return [str(struct.__struct_config__.tag) for struct in structs]
    return [str(choice) for choice in typing.get_args(type_at(path, root))]
