# SPDX-License-Identifier: GPL-2.0-or-later
"""A sample of `make mutate`, and what makes it fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rmm.abi import rmi
from tests.mutate.__main__ import IN_FULL, STEP, faults
from tests.mutate.mutants import EVERY, mutants, sample
from tests.mutate.survivors import SURVIVORS

ROOT = Path(__file__).parents[2]
DROP = ("RMI_GRANULE_DELEGATE", "drop gran_align")


def test_no_unlisted_mutant_of_a_sample_survives() -> None:
    """In a process of its own: pytest runs in it once for each mutant."""
    command = [sys.executable, "-m", "tests.mutate", "--sample", "--jobs", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert done.stdout.splitlines()[-1].endswith(", 0 survived"), said


def test_mutants_of_a_call() -> None:
    kinds = [mutant.what for mutant in mutants(rmi.REC_DESTROY)]
    assert kinds[:5] == [
        "drop rec_align",
        "negate rec_align",
        "swap rec_align rec_bound",
        "status rec_align",
        "index rec_align",
    ]
    assert kinds[-4:] == ["drop rec_running", "negate rec_running", "status rec_running", "index rec_running"]
    by_what = {mutant.what: mutant.amend(rmi.REC_DESTROY).conditions for mutant in mutants(rmi.REC_DESTROY)}
    names = {what: [c.name for c in conditions] for what, conditions in by_what.items()}
    assert names["drop rec_bound"] == ["rec_align", "rec_state", "rec_running"]
    assert names["swap rec_bound rec_state"] == ["rec_align", "rec_state", "rec_bound", "rec_running"]
    assert [c.negated for c in by_what["negate rec_bound"]] == [False, True, False, False]
    assert [c.status for c in by_what["status rec_running"]] == [1, 1, 1, 2]
    assert [c.index for c in by_what["index rec_align"]] == [9, 0, 0, 0]


def test_a_mutant_amends_its_own_call_only() -> None:
    mutant = next(mutants(rmi.REC_DESTROY))
    assert mutant.amend(rmi.REC_CREATE) is rmi.REC_CREATE


def test_the_sample_is_the_same_every_time() -> None:
    chosen = sample(STEP, IN_FULL)
    assert chosen == sample(STEP, IN_FULL) and set(range(0, len(EVERY), STEP)) <= set(chosen)
    assert {EVERY[n].call.name for n in chosen} >= set(IN_FULL)


def test_every_mutant_has_a_name_of_its_own() -> None:
    assert len({mutant.key for mutant in EVERY}) == len(EVERY)


def test_an_unlisted_survivor_is_a_fault() -> None:
    assert list(faults({DROP: None}, ())) == ["RMI_GRANULE_DELEGATE: drop gran_align: survives"]
    assert list(faults({DROP: "a test"}, ())) == []


def test_a_stale_listing_is_a_fault() -> None:
    assert list(faults({DROP: None}, {DROP})) == []
    assert "but found by a test" in next(faults({DROP: "a test"}, {DROP}))
    assert "no such mutant" in next(faults({}, {("RMI_GRANULE_DELEGATE", "drop nothing")}))


def test_every_listing_has_a_reason() -> None:
    assert all(len(reason.split()) > 2 for reason in SURVIVORS.values())
