# SPDX-License-Identifier: GPL-2.0-or-later
"""The C headers that are generated from the declarations: smccc.h, rmi.h, rsi.h, psci.h, ffa.h, ccab.h."""

from __future__ import annotations

import os
from pathlib import Path

from firmware import sdk_dir

NAMES = ("smccc.h", "rmi.h", "rsi.h", "psci.h", "ffa.h", "ccab.h")


def texts() -> dict[str, str]:
    """{file name: text} of every generated header."""
    from machine.ffa.cheader import ffa_header
    from machine.payload_abi import c_header
    from rmm.abi import cheader

    return {**cheader.headers(), "ffa.h": ffa_header(), "ccab.h": c_header()}


def generate(directory: Path | None = None) -> None:
    """Writes the headers, by default to the SDK's `include`; a header that is up to date is left alone."""
    directory = sdk_dir() / "include" if directory is None else directory
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in texts().items():
        path = directory / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        fresh = path.with_name(f".{name}.{os.getpid()}")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
