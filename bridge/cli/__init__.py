# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line.  Only the chosen subcommand's module is imported: a small payload speaks within 0.1 s."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from types import ModuleType

COMMANDS = {
    "run": "run",
    "check": "check",
    "list": "listing",
    "schema": "schema",
    "explain": "explain",
    "doctor": "doctor",
    "new": "new",
    "sdk": "sdk",
}
MODEL_BUG = 70
INTERRUPTED = 130

USAGE = """usage: ccabridge COMMAND [OPTIONS]

  run FILE|NAME|ELF   boot a machine, or an ELF as a realm on the default machine
  check FILE|NAME     check a machine file; --resolved prints it with its layers merged
  list                machine files that come along
  schema              JSON schema of machine files
  explain WHAT        a call, a function id, a syndrome, a status, a structure
  doctor              what this installation has, and what to do about what is missing
  new payload|host DIR  start a realm payload or a host firmware
  sdk                 where headers, start-up code and linker scripts are

`ccabridge COMMAND --help` says more; `ccabridge --version` prints the version.
"""


def version() -> str:
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("ccabridge")
    except PackageNotFoundError:
        return "not installed"


def load_command(name: str) -> ModuleType:
    return importlib.import_module(f"bridge.cli.{COMMANDS[name]}")


def make_parser(name: str, module: ModuleType) -> argparse.ArgumentParser:
    """The parser of one subcommand, from the module that implements it."""
    parser = argparse.ArgumentParser(prog=f"ccabridge {name}", description=module.HELP, allow_abbrev=False)
    module.add_arguments(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns the exit code; errors of the user are one line and 2."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(USAGE)
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(f"ccabridge {version()}")
        return 0
    from bridge.errors import UserError, did_you_mean, one_line

    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        hint = did_you_mean(name, list(COMMANDS))
        print(one_line(f"ccabridge: error: there is no command `{name}`{hint}"), file=sys.stderr)
        return 2
    try:
        module = load_command(name)
        if hasattr(module, "rewrite"):
            rest = module.rewrite(rest)
        code = int(module.main(make_parser(name, module).parse_args(rest)))
        sys.stdout.flush()
        return code
    except UserError as error:
        sys.stdout.flush()
        print(f"ccabridge: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("ccabridge: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has left; leave quietly, without Python's own complaint at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _model_bug(error)


def _model_bug(error: Exception) -> int:
    import traceback

    if os.environ.get("CCABRIDGE_DEBUG"):
        traceback.print_exception(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
    print(f"ccabridge: model-bug: {type(error).__name__}: {error} (in {frame.name}, {place})", file=sys.stderr)
    print("ccabridge: this is a fault of ccabridge; CCABRIDGE_DEBUG=1 prints the traceback", file=sys.stderr)
    return MODEL_BUG
