# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge resume`: goes on with the machine of a snapshot."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from machine.machine import Machine

HELP = "go on with the machine of a snapshot, bit for bit, with the options of `run` for debugging"


def rewrite(argv: list[str]) -> list[str]:
    from bridge.cli.run import rewrite

    return rewrite(argv)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from bridge.cli.run import add_run_arguments

    parser.add_argument("snapshot", metavar="SNAPSHOT", help="file of `run --snapshot-at`, or of save() at the prompt")
    parser.add_argument(
        "-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="what no snapshot holds: platform.seed"
    )
    add_run_arguments(parser)
    parser.set_defaults(machine=None)  # it is named in the file


def main(args: argparse.Namespace) -> int:
    from bridge.cli.run import run_machine
    from machine.snapshot.file import Reader

    def make(write: Callable[[str], object]) -> Machine:
        return Reader(args.snapshot).machine(write, args.set)

    return run_machine(args, make)
