# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge snapshot show`: what a snapshot file holds."""

from __future__ import annotations

import argparse

HELP = "show, hash: what a snapshot file holds, and its machine's state in one number"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="show|hash", required=True)
    show = actions.add_parser("show", help="the machine, the time, and what takes how much", allow_abbrev=False)
    show.add_argument("file", metavar="SNAPSHOT", help="snapshot file")
    show.add_argument("--config", action="store_true", help="the machine file in it")
    number = actions.add_parser("hash", help="SHA-256 over all that a guest could see", allow_abbrev=False)
    number.add_argument("file", metavar="SNAPSHOT", help="snapshot file")
    number.add_argument(
        "-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="what no snapshot holds: platform.seed"
    )


def main(args: argparse.Namespace) -> int:
    from machine.snapshot.file import VERSION, Reader

    reader = Reader(args.file)
    if args.action == "hash":
        from machine.snapshot.state import state_hash

        machine = reader.machine(_quiet, args.set)
        try:
            print(state_hash(machine))
        finally:
            machine.close()
        return 0
    header = reader.header
    if args.config:
        print(header.config, end="")
        return 0
    print(f"{args.file}: snapshot, version {VERSION}, of {header.name}")
    print(f"  {header.insns:,} instructions, {header.virtual_ns / 1e6:.3f} ms of virtual time")
    stored = sum(core.stored for core in header.cores)
    print(f"  {len(header.cores)} cores ({header.engine}), {stored:,} bytes")
    print(f"  objects: {header.graph.size:,} bytes, {header.graph.stored:,} in the file")
    for bank in header.memory:
        size = sum(chunk.size for chunk in bank.pages)
        stored = sum(chunk.stored for chunk in bank.pages)
        print(
            f"  memory {bank.base:#x} + {bank.size:#x}: {size >> 12:,} of {bank.size >> 12:,} pages hold something, "
            f"{stored:,} bytes"
        )
    for path in header.inputs:
        print(f"  needs {path}")
    for key in header.withheld:
        print(f"  needs -s {key}=VALUE, which no snapshot holds")
    return 0


def _quiet(_text: str) -> None:
    """Nothing runs."""
