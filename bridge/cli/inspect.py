# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge inspect`: the debugger's commands on a snapshot."""

from __future__ import annotations

import argparse

HELP = "look into a snapshot: gpt, granule PA, rtt RD IPA, walk VA, realm, rec, rim, …"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("snapshot", metavar="SNAPSHOT", help="snapshot file")
    parser.add_argument(
        "-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="what no snapshot holds: platform.seed"
    )
    parser.add_argument(
        "--select", metavar="CONTEXT", help="whose registers and addresses: pe N, secure, rec N; else what was running"
    )
    parser.add_argument(
        "words", nargs="+", metavar="COMMAND", help="as at the debugger's prompt, e.g. rtt 0x88200000 0"
    )


def main(args: argparse.Namespace) -> int:
    from bridge.errors import UserError
    from machine.inspect import inspect
    from machine.inspect.contexts import contexts, current, select
    from machine.snapshot.file import Reader
    from machine.snapshot.taking import silent
    from machine.stops import Stops

    machine = Reader(args.snapshot).machine(lambda text: None, args.set)
    try:
        Stops(machine, silent)  # some commands tell of its history
        context = current(machine)
        if args.select is not None:
            context = select(machine, args.select.split())
        elif context is None:
            context = next(iter(contexts(machine)), None)
        if context is None:
            raise UserError(f"{args.snapshot}: nothing was running yet")
        for line in inspect(machine, context, " ".join(args.words)):
            print(line)
    finally:
        machine.close()
    return 0
