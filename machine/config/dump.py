# SPDX-License-Identifier: GPL-2.0-or-later
"""A loaded machine as YAML that loads again to the same machine."""

from __future__ import annotations

import os
import re
from typing import Any

import msgspec

from .consoles import with_path
from .files import is_path
from .outputs import LINUX_FILES
from .scalars import Address, Duration, Size, address_text, duration_text, integer, size_text
from .types import MachineFile

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
# Mappings of at most this many scalars stand on one line.
_FLOW = 90


def resolved(machine: MachineFile) -> str:
    """Every key written out, layers merged; files by absolute path."""
    fields = {name: getattr(machine, name) for name in MachineFile.__struct_fields__ if name != "layers"}
    plain = {name: _plain(value) for name, value in fields.items() if value is not None}
    for block, key in (
        *((load, "file") for load in plain["load"].values()),
        *((r, "image") for r in plain["realms"]),
        *((r["linux"], key) for r in plain["realms"] if "linux" in r for key in LINUX_FILES if key in r["linux"]),
    ):
        if is_path(block[key]):
            block[key] = os.path.abspath(block[key])
    for device in plain["devices"].values():
        if "file" in device:
            device["file"] = os.path.abspath(device["file"])
        for key in ("console", "input"):
            kind, path, option = with_path(device.get(key, ""))
            if path:
                device[key] = kind + os.path.abspath(path) + option
    return "".join(_lines(plain, ""))


def _plain(value: Any) -> Any:
    """Builtins, with the scalar types kept."""
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        tag = {config.tag_field: config.tag} if config.tag_field else {}
        fields = {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
        if isinstance(fields.get("entry"), int):
            fields["entry"] = Address(fields["entry"])
        return {**tag, **{name: item for name, item in fields.items() if item is not None}}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _lines(mapping: dict[str, Any], indent: str) -> list[str]:
    lines: list[str] = []
    for key, value in mapping.items():
        name = _text(key)
        flow = _flow(value)
        if flow is not None and len(indent) + len(name) + len(flow) <= _FLOW:
            lines.append(f"{indent}{name}: {flow}\n")
        elif isinstance(value, dict):
            lines += [f"{indent}{name}:\n", *_lines(value, indent + "  ")]
        elif isinstance(value, list):
            lines.append(f"{indent}{name}:\n")
            for item in value:
                if isinstance(item, dict):
                    block = _lines(item, indent + "    ")
                    lines.append(f"{indent}  - {block[0].lstrip()}")
                    lines += block[1:]
                else:
                    lines.append(f"{indent}  - {_scalar(item)}\n")
        else:
            lines.append(f"{indent}{name}: {_scalar(value)}\n")
    return lines


def _flow(value: Any) -> str | None:
    """The value on one line; None for one that holds further mappings."""
    if isinstance(value, dict):
        if any(isinstance(item, (dict, list)) and item for item in value.values()):
            return None
        return "{" + ", ".join(f"{_text(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        if any(isinstance(item, (dict, list)) for item in value):
            return None
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Address):
        return address_text(value)
    if isinstance(value, Size):
        return size_text(value)
    if isinstance(value, Duration):
        return duration_text(value) if value else "0"
    return str(value) if isinstance(value, int) else _text(str(value))


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and integer(text) is None:
        return text
    return '"' + "".join(_escape(character) for character in text) + '"'


def _escape(character: str) -> str:
    if " " <= character <= "~":
        return f"\\{character}" if character in '"\\' else character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
