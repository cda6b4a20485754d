# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: `ccabridge COMMAND …`.

A subcommand is a module with HELP (one sentence), `add_arguments(parser)` and `main(args) -> int`, and where it needs
it `rewrite(words)`, which looks at the words before the parser does.  Only the chosen module is imported: a small
payload speaks within 0.1 s.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from types import MappingProxyType, ModuleType

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "run": "run",
        "resume": "resume",
        "replay": "replay",
        "snapshot": "snapshot",
        "inspect": "inspect",
        "trace": "trace",
        "report": "report",
        "check": "check",
        "list": "listing",
        "schema": "schema",
        "explain": "explain",
        "doctor": "doctor",
        "new": "new",
        "sdk": "sdk",
        "conformance": "conformance",
        "features": "features",
        "fetch-kernel": "fetch_kernel",
        "token": "token",
        "measure": "measure",
    }
)
MODEL_BUG = 70
INTERRUPTED = 130
PIPE_CLOSED = 141


def version() -> str:
    """The version of the installed distribution."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("ccabridge")
    except PackageNotFoundError:
        return "(not installed)"


def load_command(name: str) -> ModuleType:
    """The module of a subcommand.  KeyError for an unknown name."""
    return importlib.import_module(f"bridge.cli.{COMMANDS[name]}")


def short_help() -> str:
    """What `ccabridge` alone prints."""
    lines = ["usage: ccabridge COMMAND [ARGUMENTS]", ""]
    lines += [f"  {name:<12}  {load_command(name).HELP}" for name in COMMANDS]
    lines += ["", "`ccabridge COMMAND --help` says more; `ccabridge --version` prints the version."]
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns the exit code; what the user gave wrong is one line on standard error, and 2."""
    words = sys.argv[1:] if argv is None else argv
    _settle_streams()
    from bridge.errors import UserError

    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except UserError as error:
        _flush_quietly()
        print(f"ccabridge: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        _flush_quietly()
        print("ccabridge: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return PIPE_CLOSED
    except Exception as error:
        if isinstance(error, OSError) and _is_of_output(error):
            _discard_output()
            print(f"ccabridge: error: standard output: {error.strerror}", file=sys.stderr)
            return UserError.exit_code
        _flush_quietly()
        return _model_bug(error, verbose="-v" in words or "--verbose" in words)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(short_help())
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(f"ccabridge {version()}")
        return 0
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        from bridge.errors import UserError, did_you_mean

        raise UserError(f"there is no command `{name[:100]}`{did_you_mean(name, list(COMMANDS))}")
    from bridge.cli.parser import make_parser

    module = load_command(name)
    if hasattr(module, "rewrite"):
        rest = module.rewrite(rest)
    return int(module.main(make_parser(name, module).parse_args(rest)))


def _settle_streams() -> None:
    """The same bytes in every locale; a closed standard stream is no reason to fall over."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  (open until the end)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _is_of_output(error: OSError) -> bool:
    import errno

    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
    return error.errno in full and error.filename is None


def _flush_quietly() -> None:
    """What was printed before the error goes first; that it cannot go anywhere is not the news."""
    try:
        sys.stdout.flush()
    except OSError:
        _discard_output()


def _discard_output() -> None:
    """Whoever read has left, or the disk is full: no complaint of Python's own at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _model_bug(error: Exception, *, verbose: bool) -> int:
    import traceback

    from bridge.errors import one_line

    if verbose or os.environ.get("CCABRIDGE_DEBUG"):
        traceback.print_exception(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
    what = one_line(f"{type(error).__name__}: {error} (in {frame.name}, {place})")
    print(f"ccabridge: model-bug: {what}", file=sys.stderr)
    print("ccabridge: this is a fault of ccabridge; CCABRIDGE_DEBUG=1 prints the traceback", file=sys.stderr)
    return MODEL_BUG
