# SPDX-License-Identifier: GPL-2.0-or-later
"""Traces in files: written, read back, damaged, compared and added up (docs/trace.md)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from bridge.errors import UserError
from machine.calls import CallRecord
from machine.events import calls
from machine.traces import compare, jsonl, reading
from machine.traces.chrome import ChromeTrace
from machine.traces.item import Delta, Item, Sink, status_name, values_of
from machine.traces.stats import Stats
from machine.traces.text import TextSink, TfRmmSink, line_of, tf_rmm_line
from machine.traces.where import parse
from tests.machine.traces.chromecheck import check
from tests.machine.traces.items import RD, REC, call, own

RATE = 500_000_000
TRACE = [
    call(100, "RMI_VERSION", (0x10000,), (0, 0x10000, 0x10000)),
    call(200, "RMI_GRANULE_DELEGATE", (RD,), deltas=(Delta("granule", RD, "UNDELEGATED", "DELEGATED"),)),
    call(
        300, "RMI_RTT_CREATE", (RD, 0x8801_0000, 0x8000_0000, 2), (0x104,), "rtt_walk", pc=0x8000, symbol="0x8000 <f>"
    ),
    own(400, "rec_enter", rec_pa=REC),
    call(450, "RSI_HOST_CALL", (0x8000_2000,), (), None, REC, rec=0, realm=RD),
    own(450, "rec_exit", rec_pa=REC, reason="HOST_CALL"),
    call(450, "RMI_REC_ENTER", (REC, 0x8850_0000), rec=0, realm=RD, start=400),
    own(700, "rec_enter", rec_pa=REC),
    own(900, "s2_fault", ipa=0x9000_0000, esr=0x9200_0007, far=0x9000_0008, access="read", el=1, text="rec 0 at 0x80"),
    own(950, "rec_exit", rec_pa=REC, reason="SYNC"),
    call(950, "RMI_REC_ENTER", (REC, 0x8850_0000), rec=0, realm=RD, start=700),
]


def write(path: Path, items: Iterable[Item]) -> Path:
    sink = jsonl.JsonLines(open(path, "w", encoding="utf-8"), jsonl.Header(RATE, "made.yaml"))  # noqa: SIM115
    for item in items:
        sink.put(item)
    sink.close()
    return path


# JSON Lines


def test_json_lines__have_the_keys_that_the_page_describes(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in write(tmp_path / "t.jsonl", TRACE).read_text().splitlines()]
    assert lines[0] == {"format": "ccabridge-trace", "version": 1, "rate": RATE, "machine": "made.yaml"}
    assert lines[2] == {
        "i": 200, "e": "rmi_granule_delegate", "w": "normal", "pe": 0, "args": {"addr": "0x88000000"},
        "status": "SUCCESS", "x": ["0x0"], "d": [["granule", "0x88000000", "UNDELEGATED", "DELEGATED"]],
    }  # fmt: skip
    assert lines[3] == {
        "i": 300, "e": "rmi_rtt_create", "w": "normal", "pe": 0, "pc": "0x8000", "sym": "0x8000 <f>",
        "args": {"rd": "0x88000000", "rtt": "0x88010000", "ipa": "0x80000000", "level": 2},
        "status": "ERROR_RTT", "cond": "rtt_walk", "x": ["0x104"],
    }  # fmt: skip
    assert lines[5] == {
        "i": 450, "e": "rsi_host_call", "w": "realm", "pe": 0, "rec": 0, "realm": "0x88000000",
        "args": {"addr": "0x80002000"}, "rec_pa": "0x88400000", "x": [],
    }  # fmt: skip
    assert lines[7]["s"] == 400
    assert lines[9]["f"] == {
        "ipa": "0x90000000", "esr": "0x92000007", "far": "0x90000008", "access": "read", "el": 1,
        "text": "rec 0 at 0x80",
    }  # fmt: skip


def test_json_lines__read_back_are_the_same_events(tmp_path: Path) -> None:
    header, items = jsonl.read(write(tmp_path / "t.jsonl", TRACE))
    assert header == jsonl.Header(RATE, "made.yaml")
    assert list(items) == TRACE


HEADER = '{"format": "ccabridge-trace", "version": 1, "rate": 1, "machine": "m"}\n'


def line(text: str) -> bytes:
    """A header and one line."""
    return f"{HEADER}{text}\n".encode()


VERSION = '{"i": 1, "e": "rmi_version", "w": "normal", "pe": 0'


@pytest.mark.parametrize(
    "text, where, what",
    [
        (b"", "", "empty: a trace has a header"),
        (b'{"format": "other"}\n', ":1:1", "no trace of ccabridge"),
        (b"{\n", ":1:2", "not JSON: "),
        (HEADER.replace("1,", "2,", 1).encode(), ":1:31", "version 2 of the format: this is version 1"),
        (HEADER.replace('"rate": 1', '"rate": 0').encode(), ":1:45", "the header needs `rate`"),
        (HEADER.replace('"m"', "3").encode(), ":1:56", "the header needs `machine`"),
        (line("[1]"), ":2:1", "an object is expected"),
        (line('{"i": 1, "e":'), ":2:14", "not JSON: Expecting value"),
        (line('\n{"i": 1, "e": "gqf", "w": "realm", "pe": 0}'), ":3:10", "`gqf` is no event"),
        (line('{"i": 1, "e": "gpf", "w": "moon", "pe": 0}'), ":2:22", "an event needs `e`"),
        (line('{"e": "reset", "w": "normal", "pe": 0, "f": {}}'), ":2:1", "`i` is missing"),
        (line('{"i": "zz", "e": "reset", "w": "normal", "pe": 0, "f": {}}'), ":2:2", "`i` is no number"),
        (line('{"i": 1, "e": "gpf", "w": "realm", "pe": 0, "f": {}}'), ":2:45", "field `pa` of `gpf`"),
        (line(VERSION + "}"), ":2:1", "`args` has to be"),
        (line(VERSION + ', "args": {"req": -1e9}, "x": []}'), ":2:63", "`req` is no number"),
        (line(VERSION + ', "args": {"req": 1}, "x": 5}'), ":2:74", "`x` has to be a list"),
        (f'{HEADER}{{"i": 1, "e": "\x80\n'.encode("latin-1"), ":2:16", "not UTF-8"),
        (HEADER.encode() + b"[" * 50_000 + b"\n", ":2:1", "not JSON"),
        (HEADER.encode() + b'{"i": ' + b"9" * 5000 + b"}\n", ":2:1", "not JSON"),
        (HEADER.encode() + b" " * (1 << 20), f":2:{1 << 20}", "longer"),
    ],
)  # fmt: skip
def test_damaged_trace__is_refused_with_line_and_column(tmp_path: Path, text: bytes, where: str, what: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(text)
    with pytest.raises(UserError) as error:
        list(reading.read(path).items)
    assert str(error.value).startswith(f"{path}{where}: ") and what in str(error.value), error.value


def test_random_damage__never_does_worse_than_a_line_of_error(tmp_path: Path) -> None:
    whole = write(tmp_path / "t.jsonl", TRACE).read_bytes()
    rng = random.Random(3)
    words = [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b",",
        b"null",
        b"-1",
        b"1e999",
        b"[]",
        b'"0xffffffffffffffffff"',
        b"\xff",
        b"\x1b[31m",
    ]
    refused = 0
    for number in range(600):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 6)] = rng.choice(words)
        path = tmp_path / f"{number % 4}.jsonl"
        path.write_bytes(data)
        out: list[str] = []
        try:
            for item in (recorded := reading.read(path)).items:
                TextSink(out.append, recorded.rate).put(item)
                TfRmmSink(out.append).put(item)
            out += Stats(reading.read(path).items, 1).lines()
            out += compare.diff(reading.read(path), reading.read(tmp_path / "t.jsonl"))[1]
        except UserError:
            refused += 1
        assert "\x1b" not in "".join(out), "a file cannot drive the terminal"
    assert 100 < refused < 600


# Lines


def test_line__is_indented_by_world_and_coloured_by_request() -> None:
    out: list[str] = []
    for colour in (False, True):
        sink = TextSink(out.append, RATE, colour=colour)
        for item in (TRACE[2], TRACE[9]):
            sink.put(item)
    assert out[0].startswith("   0.000000600 [NS→Root→Realm] RMI_RTT_CREATE(")
    assert out[0].endswith("level=2) = ERROR_RTT(1) [rtt_walk] at 0x8000 <f>\n")
    assert out[1] == "   0.000001900     rec_exit: REC 0x88400000 exits: SYNC\n"
    assert out[2].startswith("\033[2m   0.000000600\033[0m \033[31m[NS→Root→Realm]"), "failed: red"
    assert "    \033[32mrec_exit" in out[3] and out[3].endswith("\033[0m\n"), "the realm world: green"


def test_line__names_the_granules_that_a_call_moved() -> None:
    assert line_of(TRACE[1]).endswith("= SUCCESS {granule 0x88000000 UNDELEGATED → DELEGATED}")


@pytest.mark.parametrize(
    "item, line",
    [
        (TRACE[0], "SMC_RMI_VERSION 10000 > RMI_SUCCESS 10000 10000"),
        (TRACE[1], "SMC_RMI_GRANULE_DELEGATE 88000000 > RMI_SUCCESS"),
        (TRACE[2], "SMC_RMI_RTT_CREATE 88000000 88010000 80000000 2 > RMI_ERROR_RTT 1"),
        (
            call(1, "RMI_REC_ENTER", (REC, 0x10), (0x102,), "realm_state"),
            "SMC_RMI_REC_ENTER 88400000 10 > RMI_ERROR_REALM 1",
        ),
        (
            call(1, "RMI_RTT_DESTROY", (RD, 0, 3), (0x204, 0, 0x20_0000), "rtt_walk"),
            "SMC_RMI_RTT_DESTROY 88000000 0 3 > RMI_ERROR_RTT 2 0 200000",
        ),
        (
            call(1, "RSI_VERSION", (0x10000,), (0, 0x10000, 0x10000), None, REC),
            "SMC_RSI_VERSION 10000 > RSI_SUCCESS 10000 10000",
        ),
        (call(1, "PSCI_VERSION", (), (0x10001,), None, REC), "PSCI_84000000 > 10001"),
    ],
)  # fmt: skip
def test_tf_rmm_log__has_the_shape_of_tf_rmm(item: Item, line: str) -> None:
    """runtime/core/handler.c and runtime/rsi/logger.c of TF-RMM: name, arguments, >, status with index, outputs."""
    assert item.call is not None
    assert " ".join((tf_rmm_line(item.call) or "").split()) == line


def test_tf_rmm_log__has_neither_the_hosts_psci_calls_nor_events() -> None:
    out: list[str] = []
    sink = TfRmmSink(out.append)
    for item in (call(1, "PSCI_VERSION", (), (0x10001,)), TRACE[3], TRACE[4]):
        sink.put(item)
    assert out == []


# Comparing

LOG = """\
NOTICE:  Booting RMM v.0.4.0
INFO:    SMC_RMI_VERSION                   10000 > RMI_SUCCESS 10000 10000
[  1.25] SMC_RMI_GRANULE_DELEGATE          88000000 > RMI_SUCCESS
SMC_RMI_RTT_CREATE                88000000 88010000 80000000 2 > RMI_ERROR_RTT 1
SMC_RMI_REC_ENTER                 88400000 88500000 > RMI_SUCCESS
SMC_RMI_REC_ENTER                 88400000 88500000 > RMI_SUCCESS
"""


def compared(tmp_path: Path, left: Path, right: Path, by: str = "all") -> tuple[bool, list[str]]:
    same, lines = compare.diff(reading.read(left), reading.read(right), by)
    return same, [line.replace(f"{tmp_path}/", "") for line in lines]


def test_diff__with_a_log_of_tf_rmm_compares_what_that_has(tmp_path: Path) -> None:
    trace, log = write(tmp_path / "t.jsonl", TRACE), tmp_path / "rmm.log"
    log.write_text(LOG)
    assert compared(tmp_path, trace, log) == (True, ["the same 5 events"])
    log.write_text(LOG.replace("RMI_ERROR_RTT 1", "RMI_ERROR_RTT 2"))
    assert compared(tmp_path, trace, log) == (
        False,
        [
            "the first 2 events are the same; then:",
            "  0.000000200 [NS→Root→Realm] RMI_VERSION(req=1.0) = SUCCESS lower=1.0 higher=1.0",
            "  0.000000400 [NS→Root→Realm] RMI_GRANULE_DELEGATE(addr=0x88000000) = SUCCESS "
            "{granule 0x88000000 UNDELEGATED → DELEGATED}",
            "< 0.000000600 [NS→Root→Realm] RMI_RTT_CREATE(rd=0x88000000, rtt=0x88010000, ipa=0x80000000, level=2)"
            " = ERROR_RTT(1) [rtt_walk] at 0x8000 <f>",
            "> line 4 [NS→Root→Realm] RMI_RTT_CREATE(rd=0x88000000, rtt=0x88010000, ipa=0x80000000, level=2)"
            " = ERROR_RTT(2)",
        ],
    )
    assert compared(tmp_path, trace, log, "status")[0]


def test_diff__shows_what_one_has_more_and_where_they_meet_again(tmp_path: Path) -> None:
    more = [call(250, "RMI_GRANULE_DELEGATE", (RD + 4096 * page,)) for page in range(1, 6)]
    left = write(tmp_path / "left.jsonl", TRACE)
    right = write(
        tmp_path / "right.jsonl", [*TRACE[:2], *more, *[item._replace(insns=item.insns + 9) for item in TRACE[2:]]]
    )
    same, lines = compared(tmp_path, left, right)
    assert not same
    assert lines[0] == "the first 2 events are the same; then:"
    assert [line[:2] for line in lines[3:]] == ["> ", "> ", "> ", "> ", "th"]
    assert lines[-2:] == ["> … and 2 more", "they agree again after 0 of left.jsonl and 5 of right.jsonl"]
    shorter = write(tmp_path / "shorter.jsonl", TRACE[:-1])
    assert compared(tmp_path, left, shorter)[1][-1] == "> shorter.jsonl ends here"


def test_what_is_no_trace__is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content, what in ((b"hello\n", "neither a trace"), (b'{"displayTimeUnit":"ns",', "is for Perfetto")):
        path.write_bytes(content)
        with pytest.raises(UserError, match=what):
            reading.read(path)
    with pytest.raises(UserError, match="No such file"):
        reading.read(tmp_path / "none")


# Adding up


def test_stats__counts_statuses_conditions_reasons_and_latencies() -> None:
    """500 MHz: 2 ns an instruction.  The host call waits from 450 to 700, the two entries last 50 and 250."""
    stats = Stats(TRACE, RATE).as_dict()
    assert stats["events"] == 11 and stats["virtual_ns"] == 2 * (950 - 100)
    assert stats["counts"]["rmi_rec_enter"] == 2
    assert stats["statuses"]["rmi_rtt_create"] == {"ERROR_RTT": 1}
    assert stats["conditions"] == {"rmi_rtt_create rtt_walk": 1}
    assert stats["exits"] == {"HOST_CALL": 1, "SYNC": 1}
    assert stats["latencies"] == {
        "rmi_rec_enter": {"count": 2, "mean_ns": 300, "longest_ns": 500},
        "rsi_host_call": {"count": 1, "mean_ns": 500, "longest_ns": 500},
    }
    assert [(row["ns"], row["at_ns"]) for row in stats["slowest"]] == [(500, 900), (500, 1900), (100, 900)]
    assert len(Stats(TRACE, RATE, slowest=1).slowest) == 1 and Stats(TRACE, RATE, slowest=0).slowest == []


def test_every_call__goes_through_every_shape_whatever_its_words(tmp_path: Path) -> None:
    """Guests choose arguments, and by them results: no value may end a run, and a file gives back what went in."""
    rng = random.Random(11)
    words = (0, 1, 3, 0x104, 0xFFFF_FFFF, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
    items: list[Item] = []
    for name, decl in sorted(calls().items()):
        for _ in range(6):
            args = tuple(rng.choice(words) for _ in range(decl.words))
            result = tuple(rng.choice(words) for _ in range(rng.choice((0, 1, 4, 8))))
            condition = rng.choice((None, *decl.by_condition))
            record = CallRecord(len(items), decl, args, result, condition, rng.choice((None, REC)))
            items.append(Item(record.insns, name, call=record))
    assert len(items) > 900
    out: list[str] = []
    chrome = ChromeTrace(open(tmp_path / "t.json", "w", encoding="utf-8"), RATE)  # noqa: SIM115
    sinks: list[Sink] = [TextSink(out.append, RATE, colour=True), TfRmmSink(out.append), chrome]
    test = parse("status!=SUCCESS and x0>1 or condition~'*'")
    for item in items:
        test(values_of(item, RATE))
        for sink in sinks:
            sink.put(item)
    chrome.close()
    check(json.loads((tmp_path / "t.json").read_text()))
    _, back = jsonl.read(write(tmp_path / "t.jsonl", items))
    for was, now in zip(items, back, strict=True):
        assert was.call is not None and now.call is not None
        assert line_of(now) == line_of(was) and now.call.args == was.call.args
        assert status_name(now.call) == status_name(was.call)
