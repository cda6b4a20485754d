# SPDX-License-Identifier: GPL-2.0-or-later
"""The generated parts of docs/linux.md: tables between marks, from the declarations.

`python -m machine.vmm.linux.docs` writes them; a test checks that the stored ones are up to date.
"""

from __future__ import annotations

import re
from pathlib import Path

from . import layout
from .modules import ATTESTATION, DEVICES, SHARES

PATH = Path(__file__).resolve().parents[3] / "docs" / "linux.md"
_BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def _layout() -> str:
    rows = ["| IPA, without the shared bit | size | interrupt (INTID) | what |", "|---|---|---|---|"]
    for region in sorted(layout.REGIONS, key=lambda region: region.base):
        first = region.interrupt
        count = region.size // layout.VIRTIO_STRIDE if region is layout.VIRTIO else 1
        intid = "" if first is None else f"{first}" if count == 1 else f"{first} to {first + count - 1}"
        rows.append(f"| `{_address(region.base)}` | `{region.size:#x}` | {intid} | {region.name}: {region.doc} |")
    rows.append(f"| `{_address(layout.RAM_BASE)}` | `-m` | | RAM, the only protected memory |")
    ppis = ", ".join(str(layout.PPI + ppi) for ppi in layout.TIMER_PPIS)
    return "\n".join(rows) + f"\n\nTimers (secure, physical, virtual, hypervisor) have INTID {ppis}.\n"


def _modules() -> str:
    groups = (("attestation", ATTESTATION), ("devices", DEVICES), ("9p folders (full kernel only)", SHARES))
    rows = ["| for | modules, besides those they need |", "|---|---|"]
    return "\n".join(rows + [f"| {what} | {', '.join(f'`{n}`' for n in names)} |" for what, names in groups]) + "\n"


def _address(value: int) -> str:
    return f"0x{value >> 16:04x}_{value & 0xFFFF:04x}"


def renewed(text: str) -> str:
    """The page with its generated parts as the declarations say now."""
    parts = {"layout": _layout, "modules": _modules}
    return _BLOCK.sub(lambda match: f"{match[1]}{parts[match[2]]()}{match[3]}", text)


if __name__ == "__main__":
    PATH.write_text(renewed(PATH.read_text(encoding="utf-8")), encoding="utf-8")
