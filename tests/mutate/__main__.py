# SPDX-License-Identifier: GPL-2.0-or-later
"""`make mutate`: every mutant must fail a test, or be listed in survivors.py with the reason why none can.

    python -m tests.mutate [--sample] [--only CALL]... [--jobs N] [--verbose]

Exit code 1 for an unlisted survivor, for a listed mutant that a test finds or that does not exist, and for tests
that fail without a mutant.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence

from tests.mutate.kill import killer, unmutated
from tests.mutate.mutants import EVERY, sample
from tests.mutate.survivors import SURVIVORS

STEP = 25
IN_FULL = ("RMI_RTT_SET_RIPAS", "RSI_IPA_STATE_SET", "PSCI_CPU_ON")  # commands that every sample has in full


def faults(killers: Mapping[tuple[str, str], str | None], listed: Collection[tuple[str, str]]) -> Iterator[str]:
    """What is wrong with what was found, a line for each mutant."""
    for key, found in killers.items():
        name = ": ".join(key)
        if found is None and key not in listed:
            yield f"{name}: survives"
        elif found is not None and key in listed:
            yield f"{name}: listed as a survivor, but found by {found}"
    existing = {mutant.key for mutant in EVERY}
    for key in listed:
        if key not in existing:
            yield f"{': '.join(key)}: listed as a survivor, but no such mutant exists"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description="Tests the rule tests by mutants.")
    parser.add_argument("--sample", action="store_true", help=f"every {STEP}th mutant, and all of {', '.join(IN_FULL)}")
    parser.add_argument("--only", action="append", metavar="CALL", choices=sorted({m.call.name for m in EVERY}))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes")
    parser.add_argument("--verbose", action="store_true", help="what finds each mutant")
    options = parser.parse_args(arguments)

    broken = unmutated()
    if broken:
        print("tests fail without a mutant:", *broken, sep="\n  ")
        return 1
    chosen = range(len(EVERY)) if not options.sample else sample(STEP, IN_FULL)
    numbers = [n for n in chosen if options.only is None or EVERY[n].call.name in options.only]
    killers: dict[tuple[str, str], str | None] = {}
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        for number, found in zip(numbers, pool.imap(killer, numbers), strict=True):
            killers[EVERY[number].key] = found
            if options.verbose:
                print(f"{EVERY[number]}: {found or '-'}", flush=True)
    wrong = list(faults(killers, SURVIVORS))
    for line in wrong:
        print(line)
    killed = sum(found is not None for found in killers.values())
    listed = sum(found is None and key in SURVIVORS for key, found in killers.items())
    survived = len(killers) - killed - listed
    print(f"{len(killers)} mutants, {killed} killed, {listed} listed, {survived} survived")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
