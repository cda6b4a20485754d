# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge replay`: repeats a recorded run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from machine.machine import Machine

HELP = "repeat a run of `run --record` with its inputs, and say where it diverges if it does"


def rewrite(argv: list[str]) -> list[str]:
    from bridge.cli.run import rewrite

    return rewrite(argv)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from bridge.cli.run import add_run_arguments

    parser.add_argument("record", metavar="RECORD", help="file of `run --record`")
    parser.add_argument(
        "-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="what no record holds: platform.seed"
    )
    add_run_arguments(parser)
    parser.set_defaults(machine=None)  # it is named in the file


def main(args: argparse.Namespace) -> int:
    from bridge.cli.run import run_machine
    from machine.machine import Machine
    from machine.record import Record, Replaying

    record = Record(args.record)

    def make(write: Callable[[str], object]) -> Machine:
        machine = Machine(record.config(args.set), write)
        args.inputs = Replaying(machine, record)
        return machine

    return run_machine(args, make)
