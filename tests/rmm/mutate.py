# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests the tests: drops, negates, swaps and re-labels each failure condition of each call, one at a time.

    python -m tests.rmm.mutate [--sample N] [--only NAME]

Every mutant must fail a test, or be listed in SURVIVORS with the reason why nobody can tell it from the original.
Exit code 1 on an unlisted survivor, or on a listed mutant that is found after all.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from rmm.abi import psci, rmi, rsi
from rmm.abi.call import Call, Condition
from tests.rmm import fakes
from tests.rmm.test_conditions import TABLES

HERE = Path(__file__).parent
# Quick and telling ones first.
FILES = {
    "RMI": ("test_conditions", "test_lpa2", "test_psci", "test_effects", "test_enter", "test_parameters", "test_rsi"),
    "RSI": ("test_rsi", "test_measurement", "test_enter"),
    "PSCI": ("test_psci",),
}

# (call, mutant): why it cannot be observed.
SURVIVORS: dict[tuple[str, str], str] = {
    ("RMI_REALM_CREATE", "swap pmu_num_ctrs_supp pmu_num_ctrs_zero"): "no number is both 0 and above the maximum",
    ("RMI_REALM_CREATE", "swap vmid_bound vmid_used"): "a VMID that is used was within bounds",
    ("RMI_REC_CREATE", "swap rec_state rec_alias"): "every auxiliary granule is DELEGATED by then, hence rec too",
    ("RMI_REC_ENTER", "swap realm_new system_off"): "a realm has one state",
    ("RMI_REC_ENTER", "swap inject_sea emul_mmio"): "emul_mmio needs INJECT_SEA to be clear",
    ("RMI_RTT_DESTROY", "swap rtte_state rtt_live"): "only a TABLE can be live",
    ("RMI_PSCI_COMPLETE", "swap target_align alias"): "an unaligned target that is the caller was an unaligned caller",
    ("PSCI_CPU_ON", "swap target_bound target_self"): "the caller exists",
}


def mutants(call: Call) -> Iterator[tuple[str, tuple[Condition, ...]]]:
    """(name, conditions) of each mutant of a call."""
    conditions = call.conditions
    wrong = {"RMI": 2, "RSI": 2, "PSCI": -6}[call.interface]
    for i, condition in enumerate(conditions):
        rest = (conditions[:i], conditions[i + 1 :])
        yield f"drop {condition.name}", (*rest[0], *rest[1])
        if not condition.late:
            yield f"negate {condition.name}", (*rest[0], condition.amended(negated=True), *rest[1])
        if condition.status is not None:
            other = wrong if condition.status != wrong else 3
            yield f"status {condition.name}", (*rest[0], condition.amended(status=other), *rest[1])
        if i + 1 < len(conditions) and not conditions[i + 1].late:
            swapped = (*conditions[:i], conditions[i + 1], condition, *conditions[i + 2 :])
            yield f"swap {condition.name} {conditions[i + 1].name}", swapped


def amending(call: Call, conditions: Sequence[Condition]) -> Callable[[Call], Call]:
    mutant = call.with_conditions(conditions)
    return lambda decl: mutant if decl is call else decl


def found_by_tables(call: Call) -> bool:
    """The tables of the call's own conditions, without a test runner around them."""
    try:
        for table in (t for t in TABLES if t.decl is call):
            table.check_success()
            for case in (*table.cases, *table.joint):
                table.check(case)
            for pair in table.pairs():
                table.check(*pair)
    except Exception:
        return True
    return False


def found_by_tests(call: Call) -> bool:
    files = [str(HERE / f"{name}.py") for name in FILES[call.interface]]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *files]) != 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Mutation test of the failure conditions.")
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="only every N-th mutant")
    parser.add_argument("--only", metavar="NAME", help="only the call of this name")
    options = parser.parse_args(arguments)
    count = 0
    wrong = []
    for call in (*rmi.CALLS, *rsi.CALLS, *psci.CALLS):
        if options.only not in (None, call.name):
            continue
        for name, conditions in mutants(call):
            count += 1
            if count % options.sample:
                continue
            fakes.amend = amending(call, conditions)
            try:
                found = found_by_tables(call) or found_by_tests(call)
            finally:
                fakes.amend = None
            if found == ((call.name, name) in SURVIVORS):
                wrong.append(f"{call.name}: {name}: {'found, though listed' if found else 'survives'}")
                print(wrong[-1], flush=True)
    print(f"{count // options.sample} mutants, {len(SURVIVORS)} known to be unobservable, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
