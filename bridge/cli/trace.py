# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge trace`: what is in recorded traces."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from machine.traces.item import Item
    from machine.traces.reading import Recorded

HELP = "show, compare or sum up recorded traces"
DIFFER = 1
FORMATS = ("text", "tf-rmm", "jsonl", "chrome")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("show", "diff", "stats"), help="print events; find where two part; add up")
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="traces in JSON Lines, or logs of TF-RMM; two for `diff`"
    )
    parser.add_argument("--events", metavar="GLOB", help="only events whose name matches, e.g. 'rmi_*,rec_exit'")
    parser.add_argument("--where", metavar="EXPR", help="only events that satisfy it: 'rec==1 and status!=SUCCESS'")
    parser.add_argument("--format", choices=FORMATS, default="text", help="of `show`")
    parser.add_argument(
        "--by",
        choices=("all", "status", "name"),
        default="all",
        help="what `diff` compares: all but the time, names and statuses, or names alone",
    )
    parser.add_argument("--slowest", type=int, default=10, metavar="N", help="how many of the slowest `stats` shows")
    parser.add_argument("--json", action="store_true", help="`stats` as one line of JSON")


def main(args: argparse.Namespace) -> int:
    """0; 1 where `diff` finds a difference."""
    from bridge.errors import UserError
    from machine.events import select
    from machine.traces import reading, where

    if not 0 <= args.slowest <= 10_000:
        raise UserError(f"--slowest {args.slowest}: expected 0 to 10000")
    if args.format in ("jsonl", "chrome") and len(args.files) > 1:
        raise UserError(f"trace show --format {args.format}: one file at a time, {len(args.files)} are given")
    if args.what == "diff" and len(args.files) != 2:
        raise UserError(f"trace diff: two files are compared, {len(args.files)} are given")
    chosen = select(args.events.split(",")) if args.events is not None else None
    test = where.parse(args.where) if args.where is not None else None

    def opened(name: str) -> Recorded:
        from machine.traces.item import values_of

        recorded = reading.read(Path(name))

        def wanted() -> Iterator[Item]:
            for item in recorded.items:
                if chosen is not None and item.name not in chosen:
                    continue
                if test is None or test(values_of(item, recorded.rate)):
                    yield item

        return recorded._replace(items=wanted())

    if args.what == "diff":
        return _diff(opened(args.files[0]), opened(args.files[1]), args.by)
    for name in args.files:
        if len(args.files) > 1 and not args.json:
            print(f"{name}:")
        if args.what == "show":
            _show(opened(name), args.format)
        else:
            _stats(opened(name), args.slowest, as_json=args.json)
    return 0


def _show(recorded: Recorded, format_: str) -> None:
    from machine.traces.item import Sink
    from machine.traces.text import TextSink, TfRmmSink

    write = sys.stdout.write
    sink: Sink
    if format_ == "jsonl":
        from machine.traces.jsonl import Header, JsonLines

        sink = JsonLines(_output(), Header(recorded.rate, recorded.machine))
    elif format_ == "chrome":
        from machine.traces.chrome import ChromeTrace

        sink = ChromeTrace(_output(), recorded.rate)
    else:
        sink = TfRmmSink(write) if format_ == "tf-rmm" else TextSink(write, recorded.rate, colour=_colour())
    for item in recorded.items:
        sink.put(item)
    sink.close()


def _output() -> IO[str]:
    """Standard output, which stays open when a sink closes it."""
    return open(sys.stdout.fileno(), "w", encoding="utf-8", closefd=False)


def _colour() -> bool:
    import os

    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def _stats(recorded: Recorded, slowest: int, *, as_json: bool) -> None:
    from machine.traces.stats import Stats

    stats = Stats(recorded.items, recorded.rate, slowest)
    if as_json:
        print(json.dumps(stats.as_dict()))
        return
    for line in stats.lines():
        print(line)


def _diff(left: Recorded, right: Recorded, by: str) -> int:
    from machine.traces.compare import diff

    same, lines = diff(left, right, by)
    for line in lines:
        print(line)
    return 0 if same else DIFFER
