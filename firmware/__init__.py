# SPDX-License-Identifier: GPL-2.0-or-later
"""aarch64 firmware: hosts at NS-EL2 and realm payloads, their SDK, and what builds them.

Images are in `build/NAME.elf`, made by `python -m firmware.build`.
"""

from __future__ import annotations

from pathlib import Path

_ROOT = Path(__file__).resolve().parent


def locate(name: str) -> Path:
    """The image of a firmware by name, whether or not it has been built."""
    return _ROOT / "build" / f"{name}.elf"


def sdk_dir() -> Path:
    """Headers (`include`), `crt0_*.S`, linker scripts and runtime sources for firmware of one's own."""
    return _ROOT / "sdk"


def templates_dir() -> Path:
    """What `ccabridge new` copies: `payload` and `host`."""
    return _ROOT / "templates"
