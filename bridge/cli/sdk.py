# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge sdk`: where the headers, start-up code and linker scripts for firmware of one's own are."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "print where headers, start-up code and linker scripts are"

# What each part is for; the file names are looked up, not listed here.
_KINDS = {".h": "headers", ".S": "start-up code", ".ld": "linker scripts", ".c": "runtime"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--include", action="store_true", help="print the include directory only, for a compiler's -I")
    form.add_argument("--json", action="store_true", help="print one JSON object: {file name: path}")


def main(args: argparse.Namespace) -> int:
    from bridge.errors import UserError
    from firmware import sdk_dir

    root = sdk_dir()
    files = _files(root)
    missing = [name for name in ("smccc.h", "rmi.h", "rsi.h") if name not in files]
    if missing:
        raise UserError(f"{root / 'include'}: {', '.join(missing)} not generated yet (make firmware)")
    if args.include:
        print(root / "include")
    elif args.json:
        import json

        print(json.dumps({name: str(path) for name, path in files.items()}, indent=2))
    else:
        _print(root, files)
    return 0


def _files(root: Path) -> dict[str, Path]:
    """{name: path} of every file of the SDK, headers first, by name within each kind."""
    kinds = list(_KINDS)
    found = [path for path in root.rglob("*") if path.suffix in _KINDS and not path.name.startswith(".")]
    return {path.name: path for path in sorted(found, key=lambda p: (kinds.index(p.suffix), str(p)))}


def _print(root: Path, files: dict[str, Path]) -> None:
    print(f"SDK: {root}")
    for suffix, kind in _KINDS.items():
        print(f"  {kind}")
        for name, path in files.items():
            if path.suffix == suffix:
                print(f"    {name:<14} {path}")
    print("  compile and link with: python -m firmware.toolchain payload|host|service -o X.elf SOURCES")
