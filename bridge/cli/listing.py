# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge list`: the machines that come along, each with what it shows."""

from __future__ import annotations

import argparse

HELP = "list the machines that come along, each with what it shows"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def main(args: argparse.Namespace) -> int:
    from machine.config import shipped

    machines = [(name, shipped.find(name)) for name in shipped.names(boards=True)]
    rows = [(name, str(path), shipped.first_comment(path)) for name, path in machines if path is not None]
    if args.json:
        import json

        print(json.dumps([{"name": name, "file": path, "shows": shows} for name, path, shows in rows], indent=2))
        return 0
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, _, shows in rows:
        print(f"{name:<{width}}  {shows}")
    return 0
