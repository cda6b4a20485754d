# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge schema`: the JSON schema of machine files, for editors and other tools."""

from __future__ import annotations

import argparse

HELP = "print the JSON schema of machine files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def main(args: argparse.Namespace) -> int:
    from machine.config.schema import text

    print(text(), end="")
    return 0
