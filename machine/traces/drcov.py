# SPDX-License-Identifier: GPL-2.0-or-later
"""Coverage in DynamoRIO's drcov format, version 2, as disassemblers' coverage views read it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.core import Block
    from machine.traces.coverage import Module

_BLOCK = struct.Struct("<IHH")  # offset in its module, bytes, module
_MOST_MODULES = 0xFFFF
_LONGEST = 0xFFFC


def content(blocks: list[tuple[Module, Block]]) -> bytes:
    """A module table in text and a block table in binary; how often a block ran is not part of the format."""
    modules = {module: number for number, module in enumerate(dict.fromkeys(module for module, _ in blocks))}
    rows: list[bytes] = []
    for module, block in blocks:
        number = modules[module]
        if number >= _MOST_MODULES:
            continue
        for at in range(0, block.size, _LONGEST):
            rows.append(_BLOCK.pack(block.pc + at - module.base, min(block.size - at, _LONGEST), number))
    head = [
        "DRCOV VERSION: 2",
        "DRCOV FLAVOR: ccabridge",
        f"Module Table: version 2, count {len(modules)}",
        "Columns: id, base, end, entry, path",
    ]
    for module, number in modules.items():
        entry = 0 if module.image is None else module.image.entry
        head.append(f"{number:3}, {module.base:#018x}, {module.end:#018x}, {entry:#018x}, {module.name}")
    head.append(f"BB Table: {len(rows)} bbs\n")
    return "\n".join(head).encode() + b"".join(rows)
