# SPDX-License-Identifier: GPL-2.0-or-later
"""Traces of whole machines, as a user asks for them (docs/trace.md)."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from machine.keys import TEST_SEEDS, Purpose, derive
from tests.machine.traces.chromecheck import check
from tests.system.cli import LAUNCH, ccabridge

STAMP_WIDTH = 15
STAMP = re.compile(r" {1,4}\d+\.\d{9} ")


def traced(tmp_path: Path, machine: str, suffix: str, *words: str, name: str = "trace") -> Path:
    path = tmp_path / f"{name}.{suffix}"
    result = ccabridge("run", machine, f"--trace-file={path}", *words)
    assert result.code == 0 and not result.err, result.err
    assert result.lines == ccabridge("run", machine).lines, "tracing changes nothing that is seen"
    return path


@pytest.mark.parametrize("machine", ["hello-realm", "faults", "secure"])
def test_recorded_trace__shows_the_lines_of_the_live_one(tmp_path: Path, machine: str) -> None:
    """Every event of the machine survives the file; the same run writes the same bytes."""
    words = ("--trace", "--trace-with=pc,delta")
    recorded = traced(tmp_path, machine, "jsonl", *words)
    again = traced(tmp_path, machine, "jsonl", *words, name="again")
    assert again.read_bytes() == recorded.read_bytes()
    live = [line for line in ccabridge("run", machine, *words).lines if STAMP.match(line)]
    assert len(live) > 500
    shown = ccabridge("trace", "show", str(recorded)).lines
    assert [line for line in shown if not line[STAMP_WIDTH:].lstrip().startswith("console: ")] == live


def test_world_switches_and_calls__are_where_the_host_and_the_realm_are(tmp_path: Path) -> None:
    """hello-realm: two entries, each ended by RSI_HOST_CALL; RMI from the host, RSI from the realm (DEN0137 A4.3)."""
    path = traced(tmp_path, "hello-realm", "jsonl", "--trace=rmi_rec_enter,rsi_*,rec_*,world_switch")
    rows = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    entry = [("world_switch", "realm"), ("rec_enter", "realm")]
    leave = [("rsi_host_call", "realm"), ("world_switch", "realm"), ("rec_exit", "realm"), ("rmi_rec_enter", "normal")]
    found = [(row["e"], row["w"]) for row in rows]
    assert found == [*entry, ("rsi_version", "realm"), ("rsi_realm_config", "realm"), *leave, *entry, *leave]
    enters = [row for row in rows if row["e"] == "rmi_rec_enter"]
    assert all(row["s"] < row["i"] and row["rec"] == 0 for row in enters)
    assert [row["f"]["reason"] for row in rows if row["e"] == "rec_exit"] == ["HOST_CALL", "HOST_CALL"]


def test_filter__leaves_what_satisfies_it() -> None:
    everything = [line for line in ccabridge("run", "faults", "--trace=rmi_*").lines if STAMP.match(line)]
    failed = [line for line in ccabridge("run", "faults", "--where=status!=SUCCESS and event~'rmi_*'").lines
              if STAMP.match(line)]  # fmt: skip
    assert 0 < len(failed) < len(everything)
    assert failed == [line for line in everything if " = SUCCESS" not in line]


def test_core_events__are_seen_by_kind(tmp_path: Path) -> None:
    """`faults` and `irqs` fault, trap and interrupt on purpose."""
    counts: Counter[str] = Counter()
    for machine in ("faults", "irqs", "attacker", "mini-linux"):
        path = tmp_path / f"{machine}.jsonl"
        ccabridge("run", machine, "--trace=gpf,s2_fault,exception,interrupt,mmio,sysreg,gpt", f"--trace-file={path}")
        counts.update(json.loads(line)["e"] for line in path.read_text().splitlines()[1:])
    assert set(counts) == {"gpf", "s2_fault", "exception", "interrupt", "mmio", "sysreg", "gpt"}


@pytest.mark.parametrize("machine, worlds", [("smp", {"normal", "realm"}), ("secure-irqs", {"normal", "secure"})])
def test_perfetto_file__is_well_formed_with_flows_between_the_worlds(
    tmp_path: Path, machine: str, worlds: set[str]
) -> None:
    found = check(json.loads(traced(tmp_path, machine, "json", "--trace").read_text()))
    assert set(found.processes.values()) == {"normal world", "secure world", "realm world", "root world"}
    used = {found.processes[pid].removesuffix(" world") for pid, _ in found.slices}
    assert worlds <= used
    assert found.flows["enter"] == found.flows["exit"] > 10
    names = {name for rows in found.slices.values() for _, _, name in rows}
    assert {"REC run", "RMI_REC_ENTER"} <= names or {"service runs", "in the Secure world"} <= names


def test_perfetto_file_of_realms__has_a_thread_for_each_rec(tmp_path: Path) -> None:
    path = traced(tmp_path, "smp", "json", "--trace=rmi_*,rsi_*,rec_*")
    found = check(json.loads(path.read_text()))
    realm = next(pid for pid, name in found.processes.items() if name == "realm world")
    recs = {name for (pid, _), name in found.threads.items() if pid == realm and name.startswith("REC")}
    entered = {
        re.sub(r".*rec=(0x\w+).*", r"\1", line) for line in ccabridge("run", "smp", "--trace=rmi_rec_enter").lines
        if "RMI_REC_ENTER" in line
    }  # fmt: skip
    assert len(recs) == len(entered) > 1


def test_attestation_key__is_in_no_trace(tmp_path: Path) -> None:
    """RMM_ATTEST_GET_REALM_KEY is traced by the place of its answer (rmm-abi.md §10.4)."""
    seed = TEST_SEEDS[3]
    path = tmp_path / "token.jsonl"
    words = ("-s", f"platform.seed={seed}", "--trace", "--trace-with=pc,delta", f"--trace-file={path}")
    assert ccabridge("run", "token", *words).code == 0
    text = path.read_text().lower()
    assert '"el3_attest_get_realm_key"' in text
    purposes: tuple[Purpose, ...] = ("realm", "platform")
    for purpose in purposes:
        key = derive(purpose, seed)
        for at in range(0, len(key), 8):
            word = key[at : at + 8]
            assert word.hex().lstrip("0") not in text and word[::-1].hex().lstrip("0") not in text


def test_diff_of_recorded_runs__exits_with_one_where_they_part(tmp_path: Path) -> None:
    one = traced(tmp_path, "hello-realm", "jsonl", "--trace=rmi_*,rsi_*", name="one")
    two = tmp_path / "two.jsonl"
    ccabridge("run", "hello-realm", "-s", "realms.0.recs=2", "--trace=rmi_*,rsi_*", f"--trace-file={two}")
    log = traced(tmp_path, "hello-realm", "log", "--trace", "--trace-format=tf-rmm")
    same = ccabridge("trace", "diff", str(one), str(log))
    assert (same.code, same.lines) == (0, ["the same 95 events"]), "RSI_HOST_CALL is not logged: 2 of 97"
    parted = ccabridge("trace", "diff", str(one), str(two))
    assert parted.code == 1 and parted.lines[0].endswith("events are the same; then:")
    assert any(line.startswith("> ") and "RMI_GRANULE_DELEGATE" in line for line in parted.lines)
    assert parted.lines[-1].startswith("they agree again after 0 of ")


def test_recorded_trace__is_written_in_other_formats(tmp_path: Path) -> None:
    """Recorded once, converted later: the same bytes as when recorded so, and a part of it by a filter."""
    recorded = traced(tmp_path, "hello-realm", "jsonl", "--trace")
    chrome = traced(tmp_path, "hello-realm", "json", "--trace")
    assert ccabridge("trace", "show", "--format=chrome", str(recorded)).out == chrome.read_text()
    assert ccabridge("trace", "show", "--format=jsonl", str(recorded)).out == recorded.read_text()
    part = traced(tmp_path, "hello-realm", "jsonl", "--trace=rmi_*", "--where=status!=SUCCESS", name="part")
    words = ("--format=jsonl", "--events=rmi_*", "--where=status!=SUCCESS")
    assert ccabridge("trace", "show", *words, str(recorded)).out == part.read_text()


def test_stop__dumps_the_last_calls_and_events() -> None:
    """Always on: nothing was asked for."""
    result = ccabridge("run", "hello-realm", "-s", "limits.instructions=94_500")
    assert result.code == 124
    at = result.lines.index("  last calls and events:")
    last = [line.strip() for line in result.lines[at + 1 :] if STAMP.match(line)]
    assert 8 < len(last) <= 16 and [line[:11] for line in last] == sorted(line[:11] for line in last)
    assert any(line.endswith("rec_exit: REC 0x9401b000 exits: HOST_CALL") for line in last)
    assert any("RMI_REC_ENTER(" in line for line in last)


def test_stats_as_json__are_the_counts_of_the_run(tmp_path: Path) -> None:
    path = traced(tmp_path, "hello-realm", "jsonl", "--trace=rmi_*,rsi_*,psci_*")
    summed = json.loads(ccabridge("trace", "stats", "--json", str(path)).out)
    calls = json.loads(ccabridge("run", "hello-realm", "--json").lines[-1])["calls"]
    assert summed["counts"] == {name.lower(): count for name, count in calls.items() if not name.startswith("SMCCC")}


@pytest.mark.parametrize(
    "words, what",
    [
        (("run", "hello-realm", "--trace=rmi_nothing"), "--trace rmi_nothing: no event matches"),
        (("run", "hello-realm", "--where=status="), "--where: column 7: "),
        (("run", "hello-realm", "--trace-with=all"), "--trace-with all: unknown"),
        (("run", "hello-realm", "--trace-format=jsonl"), "add --trace-file FILE"),
        (("run", "hello-realm", "--trace-file=/nowhere/t.jsonl"), "/nowhere/t.jsonl: No such file or directory"),
        (("trace", "show", "/nowhere/t.jsonl"), "/nowhere/t.jsonl: No such file or directory"),
        (("trace", "diff", "one"), "two files are compared, 1 are given"),
        (("trace", "stats", "--slowest=-1", "one"), "--slowest -1: expected 0 to 10000"),
        (("trace", "show", "--where=x0", "one"), "--where: column 3: "),
    ],
)
def test_what_cannot_be__is_one_line_and_exit_code_2(words: tuple[str, ...], what: str) -> None:
    result = ccabridge(*words)
    assert (result.code, result.out) == (2, "")
    assert what in result.err and len(result.err.splitlines()) == 1


def test_damaged_file__is_one_line_with_its_place(tmp_path: Path) -> None:
    path = traced(tmp_path, "hello-realm", "jsonl", "--trace=rmi_*")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:3], lines[3][:20]]))
    for what in ("show", "stats"):
        result = ccabridge("trace", what, str(path))
        assert result.code == 2
        assert re.fullmatch(rf"ccabridge: error: {re.escape(str(path))}:4:\d+: not JSON: .*\n", result.err)


def test_terminal__gets_colours_unless_no_color_is_set() -> None:
    """https://no-color.org"""
    for environment, wanted in (({}, True), ({"NO_COLOR": "1"}, False)):
        main, other = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-c", LAUNCH, "run", "hello-realm", "--trace=rmi_version"],
            stdin=subprocess.DEVNULL, stdout=other, stderr=subprocess.DEVNULL, env={**os.environ, **environment},
        ) as process:  # fmt: skip
            os.close(other)
            out = b""
            try:
                while data := os.read(main, 4096):
                    out += data
            except OSError:  # EIO: the other end is closed
                pass
            assert process.wait(30) == 0
        os.close(main)
        line = next(line for line in out.splitlines() if b"RMI_VERSION" in line)
        assert (b"\x1b[36m[NS" in line) is wanted
