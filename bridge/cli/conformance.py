# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge conformance`: replays recorded answers of a reference RMM and names every difference."""

from __future__ import annotations

import argparse

HELP = "replay recorded RMI sequences on the Python RMM and compare the answers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("corpus", nargs="+", metavar="FILE.jsonl[.gz]", help="recorded sequences, one a line")
    parser.add_argument("-v", "--verbose", action="store_true", help="progress and wall time, to standard error")


def main(args: argparse.Namespace) -> int:
    from bridge.errors import UserError
    from bridge.progress import Progress
    from rmm.corpus import CorpusError, replay

    progress = Progress(verbose=args.verbose)
    try:
        report = replay(args.corpus, lambda done: progress.update(f"ccabridge: {done} sequences"))
    except CorpusError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}") from None
    finally:
        progress.clear()
    progress.say(f"{progress.elapsed:.1f} s of wall time")
    for line in report.lines():
        print(line)
    return 1 if report.failed else 0
