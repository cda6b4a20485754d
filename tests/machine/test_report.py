# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge report` (docs/report.md): what a page says, and what it never does."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import main
from machine.reports.columns import COLUMNS, Columns, Steps, Sums
from machine.reports.page import START
from machine.reports.text import escaped, ticks, time_text

HEADER = {"format": "ccabridge-trace", "version": 1, "rate": 1_000_000_000, "machine": "m.yaml"}
EVIL = "</pre></code><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&\x1b[31m\u202e{{x}}<!--"


class Seen(HTMLParser):
    """Elements, attributes, and the text within them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def call(i: int, name: str, args: dict[str, Any], x: list[str], **more: Any) -> dict[str, Any]:
    return {"i": i, "e": name, "w": "normal", "pe": 0, "args": args, "x": x, "status": "SUCCESS", **more}


def console(i: int, text: str, label: str = "realm 0") -> dict[str, Any]:
    return {"i": i, "e": "console", "w": "realm", "pe": 0, "f": {"label": label, "text": text}}


def rec(i: int, name: str, **fields: Any) -> dict[str, Any]:
    return {"i": i, "e": name, "w": "realm", "pe": 0, "rec": 0, "realm": "0x1000", "f": {"rec_pa": "0x2000", **fields}}


def written(folder: Path, *events: dict[str, Any], header: dict[str, Any] = HEADER) -> Path:
    path = folder / "run.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in (header, *events)), encoding="utf-8")
    return path


def report(folder: Path, *events: dict[str, Any], header: dict[str, Any] = HEADER) -> str:
    out = folder / "out.html"
    assert main(["report", str(written(folder, *events, header=header)), "-o", str(out)]) == 0
    return out.read_text(encoding="utf-8")


def section(page: str, key: str) -> str:
    return page.partition(f'<section id="{key}">')[2].partition("</section>")[0]


# What it says


def test_page__of_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """hello-realm: one realm of one REC, which prints by RSI_HOST_CALL and ends by another."""
    monkeypatch.chdir(tmp_path)
    assert main(["report", "hello-realm"]) == 0
    page = (tmp_path / "hello-realm.html").read_text(encoding="utf-8")
    assert page.startswith(START)
    assert "guest-exit 0: the host ended with 0" in page
    assert "Hello from a realm at R-EL1" in section(page, "consoles")
    exits = Seen(section(page, "exits"))
    assert "HOST_CALL2" in exits.text
    assert "REC 0 of 0x94000000" in section(page, "time")
    assert "protected mappings" in section(page, "rtt")
    assert re.search(r"rmi_realm_create</code></td><td class=\"n\">1</td><td class=\"n\">1</td>", page)
    assert page.index('id="failed"') < page.index('id="time"')


def test_page__same_run_same_bytes_and_a_trace_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        assert main(["report", "hello-realm", "-o", f"{name}.html"]) == 0
    one = (tmp_path / "one.html").read_text(encoding="utf-8")
    assert one == (tmp_path / "two.html").read_text(encoding="utf-8")
    assert main(["run", "hello-realm", "--trace-file", "t.jsonl"]) == 0
    assert main(["report", "t.jsonl"]) == 0
    other = (tmp_path / "t.html").read_text(encoding="utf-8")
    for key in ("failed", "exits", "calls", "consoles"):
        assert section(one, key) == section(other, key)


def test_failed__grouped_with_the_meaning_of_the_condition(tmp_path: Path) -> None:
    """rmm-abi.md §3: gran_align of RMI_GRANULE_DELEGATE."""
    bad = {"status": "ERROR_INPUT", "cond": "gran_align"}
    events = [call(i, "rmi_granule_delegate", {"addr": "0x3"}, ["0x1"], **bad) for i in (10, 20, 30)]
    page = report(tmp_path, *events, call(40, "rmi_granule_delegate", {"addr": "0x5000"}, ["0x0"]))
    failed = Seen(section(page, "failed")).text
    assert "3rmi_granule_delegate = ERROR_INPUT [gran_align]" in failed
    assert "4 KiB aligned" in failed
    assert "RMI_GRANULE_DELEGATE(addr=0x3) = ERROR_INPUT [gran_align]10 ns" in failed
    assert "3 in all" in section(page, "time")


def test_failed__none_is_said(tmp_path: Path) -> None:
    page = report(tmp_path, call(1, "rmi_granule_delegate", {"addr": "0x5000"}, ["0x0"]))
    assert "Every call succeeded" in section(page, "failed")


def test_gpt__granules_come_and_go(tmp_path: Path) -> None:
    """From calls, where the trace has no `gpt` events."""
    events = [call(i, "rmi_granule_delegate", {"addr": hex(pa)}, ["0x0"]) for i, pa in ((10, 0x5000), (20, 0x6000))]
    events.append(call(30, "rmi_granule_undelegate", {"addr": "0x5000"}, ["0x0"]))
    page = report(tmp_path, *events)
    gpt = Seen(section(page, "gpt")).text
    assert "2 granules" in gpt and "0x5000 to 0x5fff: 1 granule (4 KiB)" in gpt
    assert "at 30 ns: Realm 1" in gpt
    assert "8 KiB" in page.partition("<nav>")[0]


def test_rtt__tables_by_level_and_pages(tmp_path: Path) -> None:
    rd = {"rd": "0x1000"}
    events = [
        call(10, "rmi_rtt_create", {**rd, "rtt": "0x2000", "ipa": "0x0", "level": 2}, ["0x0"]),
        call(20, "rmi_rtt_create", {**rd, "rtt": "0x3000", "ipa": "0x0", "level": 3}, ["0x0"]),
        call(30, "rmi_data_create_unknown", {**rd, "data": "0x4000", "ipa": "0x0"}, ["0x0"]),
        call(40, "rmi_rtt_map_unprotected", {**rd, "ipa": "0x0", "level": 3, "desc": "0x0"}, ["0x0"]),
        call(60, "rmi_rtt_destroy", {**rd, "ipa": "0x0", "level": 3}, ["0x0", "0x3000", "0x0"]),
    ]
    rtt = Seen(section(report(tmp_path, *events), "rtt")).text
    assert "Realm 0x1000" in rtt
    assert "level 2 1, level 3 1" in rtt and "level 2 1, level 3 0" in rtt
    assert "protected 1, shared 1" in rtt


def test_timeline__a_rec_that_still_runs_ran_to_the_end(tmp_path: Path) -> None:
    page = report(
        tmp_path, rec(0, "rec_enter"), rec(500, "rec_exit", reason="IRQ"), rec(750, "rec_enter"), console(1000, "x")
    )
    time = Seen(section(page, "time")).text
    assert "0 to 16 ns: Normal world 0 %, REC 0 of 0x1000 100 %" in time
    assert "600 ns to 616 ns: Normal world 100 %, REC 0 of 0x1000 0 %" in time
    assert "983 ns to 1.000 µs: Normal world 0 %, REC 0 of 0x1000 100 %" in time


def test_empty__a_trace_without_events(tmp_path: Path) -> None:
    page = report(tmp_path)
    assert page.count('class="none"') == 8


# Hostile guests, damaged files


def test_escaping__nothing_that_a_guest_says_becomes_markup(tmp_path: Path) -> None:
    bad = {"status": EVIL, "cond": EVIL}
    events = [
        console(1, EVIL),
        console(2, EVIL, label=EVIL),
        rec(3, "rec_enter"),
        rec(4, "rec_exit", reason=EVIL),
        call(5, "rmi_granule_delegate", {"addr": "0x3"}, ["0x1"], **bad),
        {"i": 6, "e": "vmm_abort", "w": "realm", "pe": 0, "f": {"ipa": "0x0", "text": EVIL}},
        call(7, "rmi_granule_delegate", {"addr": "0x6000"}, ["0x0"], d=[["gpt", "0x6000", EVIL, EVIL]]),
        {**call(8, "rmi_version", {"req": "0x10000"}, ["0x0", "0x0", "0x0"]), "pc": "0x1", "sym": EVIL},
    ]
    seen = Seen(report(tmp_path, *events, header={**HEADER, "machine": EVIL}))
    assert seen.elements == Seen(report(tmp_path, *events, header=HEADER)).elements
    assert not {"script", "img", "iframe", "object", "form", "link"} & set(seen.elements)
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert seen.text.count("<script>alert(1)</script>") >= 6  # said, not done
    assert "\x1b" not in seen.text and "\u202e" not in seen.text


def test_page__has_nothing_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", "secure", "-o", "out.html"]) == 0
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    seen = Seen(page)
    assert all(value.startswith("#") for name, value in seen.attributes if name in ("href", "src", "action", "data"))
    assert not re.search(r"url\(|@import|https?:", page)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'") in (
        seen.attributes
    )


def test_size__is_bounded_whatever_the_trace(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    for n in range(6000):
        events.append(console(n * 7, "y" * 3000, label=f"c{n % 50}"))
        events.append({**rec(n * 7, "rec_enter"), "rec": n % 40, "realm": hex(n % 90 << 12)})
        events.append({**rec(n * 7 + 3, "rec_exit", reason=f"R{n}"), "rec": n % 40, "realm": hex(n % 90 << 12)})
        args = {"rd": hex(n % 90 << 12), "rtt": "0x0", "ipa": "0x0", "level": n % 5}
        events.append(call(n * 7 + 4, "rmi_rtt_create", args, ["0x1"], cond=f"c{n}"))
        events.append(call(n * 7 + 5, "rmi_granule_delegate", {"addr": hex(n * 0x5000)}, ["0x0"]))
    assert len(report(tmp_path, *events)) < 3 << 20


@pytest.mark.parametrize(
    "events",
    [
        [console((1 << 64) - 1, "late"), console(-(1 << 63), "before all time")],
        [rec(9, "rec_exit", reason="IRQ"), rec(5, "rec_enter"), rec(3, "rec_enter")],
        [call(5, "rmi_granule_undelegate", {"addr": "-0x1000"}, ["0x0"])],
        [call(5, "rmi_rtt_create", {"rd": "0x0", "rtt": "0x0", "ipa": "0x0", "level": -4}, ["0x0"])],
        [call(5, "rmi_rec_enter", {"rec": "0x0", "run": "0x0"}, ["0x0"], s=-9, rec=-1, realm=-1)],
        [{**console(5, "x"), "pe": 1 << 63}],
    ],
)
def test_values__that_no_machine_has_are_no_matter(tmp_path: Path, events: list[dict[str, Any]]) -> None:
    assert "</html>" in report(tmp_path, *events)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "empty"),
        (b"\xff\xfe{}\n", ""),
        (b'{"format": "ccabridge-trace", "version": 99, "rate": 1, "machine": ""}\n', "version 99"),
        (json.dumps(HEADER).encode() + b'\n{"i": 1\n', ":2:"),
        (json.dumps(HEADER).encode() + b'\n{"i": 1, "e": "nonsense", "w": "realm", "pe": 0}\n', "nonsense"),
    ],
)
def test_damaged__is_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, text: str
) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    out = tmp_path / "out.html"
    assert main(["report", str(path), "-o", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and text in error and "run.jsonl" in error
    assert sorted(os.listdir(tmp_path)) == ["run.jsonl"]


# The file


def test_output__of_others_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = written(tmp_path), tmp_path / "mine.html"
    out.write_text("my own page")
    assert main(["report", str(run), "-o", str(out)]) == 2
    assert "is no report of ccabridge; --force replaces it" in capsys.readouterr().err
    assert out.read_text() == "my own page"
    assert main(["report", str(run), "-o", str(out), "--force"]) == 0
    assert "replaced" in capsys.readouterr().out
    assert main(["report", str(run), "-o", str(out)]) == 0
    assert sorted(os.listdir(tmp_path)) == ["mine.html", "run.jsonl"]


@pytest.mark.parametrize("out", ["run.jsonl", "no/such/folder.html", ".", "/dev/null"])
def test_output__that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    monkeypatch.chdir(tmp_path)
    before = written(tmp_path).read_bytes()
    assert main(["report", "run.jsonl", "-o", out, "--force"]) == 2
    assert (tmp_path / "run.jsonl").read_bytes() == before


def test_options__of_a_machine_are_not_for_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(written(tmp_path)), "-s", "limits.time=1s"]) == 2
    assert "a trace is not run" in capsys.readouterr().err


def test_timeout__a_machine_that_never_ends_is_reported(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    assert main(["report", "hello-realm", "-s", "limits.instructions=50000", "-o", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert '<span class="bad">timeout 124:' in page


def test_end__of_a_run_that_went_wrong_has_its_diagnosis(tmp_path: Path) -> None:
    """The third seeded mistake: a REC with a wrong MPIDR (docs/diagnoses.md); its twin has none."""
    out = tmp_path / "page.html"
    for healthy, said in (("0", True), ("1", False)):
        words = ["-s", "boot.registers.x1=3", "-s", f"boot.registers.x2={healthy}"]
        assert main(["report", "seeded", *words, "-o", str(out)]) == 0
        assert ("Diagnosis: wrong-mpidr" in out.read_text(encoding="utf-8")) is said


def test_secrets__keys_never_reach_a_page(tmp_path: Path) -> None:
    """A machine whose realm asks for a token: the RMM has the realm's key from EL3 then (rmm-abi.md §13.1)."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    words: list[str] = []
    overrides: list[str] = []
    for which in ("platform", "realm"):
        key = ec.generate_private_key(ec.SECP384R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = tmp_path / f"{which}.pem"
        file.write_bytes(pem)
        overrides += ["-s", f"platform.{which}_key={file}"]
        scalar = key.private_numbers().private_value.to_bytes(48, "big")
        for at in range(0, 48, 8):
            word = scalar[at : at + 8]
            words += [word.hex(), word[::-1].hex(), repr(word)[2:-1]]
        words += pem.decode().splitlines()[1:-1]
    out = tmp_path / "out.html"
    assert main(["report", "token", *overrides, "-o", str(out)]) == 0
    page = out.read_text(encoding="utf-8").lower()
    assert "rsi_attestation_token_init" in page and "el3_attest_get_realm_key" in page
    assert not [word for word in words if word.lower() in page]


# Columns and labels


def test_columns__keep_their_number_and_their_sum() -> None:
    columns = Columns()
    counted, spent, steps = Sums(columns), Sums(columns), Steps(columns)
    for n in range(100):
        counted.count(n * 1000)
        spent.span(n * 1000, n * 1000 + 250)
        steps.change(n * 1000, 1 if n % 2 == 0 else -1)
    assert columns.width == 256 and len(counted.values) == COLUMNS
    assert sum(counted.values) == 100 and sum(spent.values) == 25_000
    assert steps.most == 1 and list(steps.values())[-1][1] == 0


def test_text__times_and_ticks() -> None:
    assert [time_text(ns) for ns in (0, 7, 1234, 98_765, 1_500_000, 2_000_000_000)] == [
        "0",
        "7 ns",
        "1.234 µs",
        "98.77 µs",
        "1.500 ms",
        "2.000 s",
    ]
    assert ticks(236_000) == [(at * 50_000, f"{at * 50} µs" if at else "0") for at in range(5)]
    assert len(ticks((1 << 63) - 1)) < 12 and ticks(1) == [(0, "0"), (1, "1 ns")]
    assert escaped("<a b='c'>\n\u202e") == "&lt;a b=&#x27;c&#x27;&gt;\\n\\u202e"
