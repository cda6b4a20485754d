# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge schema`: the JSON schema of machine files, for editors and other tools."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "schema",
        help="print the JSON schema of machine files",
        description="Prints the JSON schema of machine files.",
    )
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from machine.config.schema import text

    print(text(), end="")
    return 0
