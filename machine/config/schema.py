# SPDX-License-Identifier: GPL-2.0-or-later
"""The JSON schema of a machine file, for editors: `machine/machine.schema.json`.

`python -m machine.config.schema` writes it; a test checks that the stored one is up to date.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from .scalars import INTEGER_PATTERN, SIZE_PATTERN, TIME_PATTERN, U64_MAX, Address, Duration, Size
from .types import MachineFile

PATH = Path(__file__).resolve().parent.parent / "machine.schema.json"

_INTEGER = {"type": "integer", "minimum": 0, "maximum": U64_MAX}
_LIST_ELEMENTS = ("Realm", "RejectRipas", "PartialRipas", "DenyCpuOn", "Evict", "InjectSea", "IgnoreMmio")
_TEXTS = {Address: INTEGER_PATTERN, Size: SIZE_PATTERN, Duration: TIME_PATTERN}


def schema() -> dict[str, Any]:
    """The schema as plain data, JSON Schema draft 2020-12."""
    generated = msgspec.json.schema(MachineFile, schema_hook=_scalar)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ccabridge machine file",
        **_tidy(generated),
    }


def text() -> str:
    """The schema as it is stored."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _scalar(declared: type) -> dict[str, Any]:
    if declared not in _TEXTS:
        raise NotImplementedError(declared.__name__)
    return {"anyOf": [_INTEGER, {"type": "string", "pattern": f"^{_TEXTS[declared]}$"}]}


def _tidy(node: Any) -> Any:
    """What msgspec cannot know of these files.

    A key may be null, which deletes what a layer says; a key that the types require may come from a layer,
    but for those of a list's elements; `1_000` is an integer here and text to a YAML 1.2 editor.
    """
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node == _INTEGER:
        return node
    tidy = {key: _tidy(value) for key, value in node.items()}
    if tidy.get("type") == "object":
        if tidy.get("title") not in _LIST_ELEMENTS:
            tidy.pop("required", None)
        if "properties" in tidy:
            tidy["properties"] = {key: _or_null(value) for key, value in tidy["properties"].items()}
        elif isinstance(tidy.get("additionalProperties"), dict):
            tidy["additionalProperties"] = _or_null(tidy["additionalProperties"])
    elif tidy.get("type") == "integer" and "pattern" not in tidy:
        bounds = {key: tidy.pop(key) for key in ("type", "minimum", "maximum") if key in tidy}
        tidy["anyOf"] = [bounds, {"type": "string", "pattern": f"^{INTEGER_PATTERN}$"}]
    return tidy


def _or_null(value: dict[str, Any]) -> dict[str, Any]:
    notes: dict[str, Any] = {key: value[key] for key in ("description", "default") if key in value}
    rest = {key: item for key, item in value.items() if key not in notes}
    choices = rest["anyOf"] if set(rest) == {"anyOf"} else [rest]
    if {"type": "null"} not in choices:
        choices = [*choices, {"type": "null"}]
    return {**notes, "anyOf": choices}


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
