# SPDX-License-Identifier: GPL-2.0-or-later
"""The argument parser of the subcommands: what is wrong with a command line is one line, and exit code 2."""

from __future__ import annotations

import argparse
from types import ModuleType
from typing import NoReturn

from bridge.errors import UserError


class Parser(argparse.ArgumentParser):
    """argparse, with errors raised as UserError."""

    def error(self, message: str) -> NoReturn:
        command = self.prog.removeprefix("ccabridge ")
        raise UserError(f"{command}: {message} (see `{self.prog} --help`)")


def make_parser(name: str, module: ModuleType) -> Parser:
    """The parser of one subcommand, from the module that implements it."""
    help_text: str = module.HELP
    parser = Parser(prog=f"ccabridge {name}", description=f"{help_text[0].upper()}{help_text[1:]}.", allow_abbrev=False)
    module.add_arguments(parser)
    return parser
