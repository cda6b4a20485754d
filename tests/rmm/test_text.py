# SPDX-License-Identifier: GPL-2.0-or-later
"""Trace lines, C headers and the documentation page that derive from the declarations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rmm.abi import by_name, calls_by_fid, rmi
from rmm.abi.call import UNKNOWN, Call
from rmm.abi.cheader import headers, main
from rmm.abi.docs import main as docs_main
from rmm.abi.docs import markdown
from rmm.abi.text import render, status_text
from rmm.bare import smc
from tests.rmm.fakes import World


def named(name: str) -> Call:
    call = by_name(name)
    assert call is not None
    return call


LINES = [
    (
        "RMI_GRANULE_DELEGATE",
        (0x8830_0001,),
        (1, 0, 0, 0, 0),
        "gran_align",
        "RMI_GRANULE_DELEGATE(addr=0x88300001) = ERROR_INPUT [gran_align]",
    ),
    (
        "RMI_RTT_CREATE",
        (0x8800_0000, 0x8801_0000, 0x8000_0000, 2),
        (0x104, 0, 0, 0, 0),
        "rtt_walk",
        "RMI_RTT_CREATE(rd=0x88000000, rtt=0x88010000, ipa=0x80000000, level=2) = ERROR_RTT(1) [rtt_walk]",
    ),
    (
        "RMI_RTT_CREATE",
        (0x8800_0000, 0x8801_0000, 0, -1),
        (0xFF04, 0, 0, 0, 0),
        "rtt_walk",
        "RMI_RTT_CREATE(rd=0x88000000, rtt=0x88010000, ipa=0x0, level=-1) = ERROR_RTT(-1) [rtt_walk]",
    ),
    (
        "RMI_DATA_DESTROY",
        (0x8800_0000, 0x1000),
        (0, 0x8802_0000, 0x2000, 0, 9),
        None,
        "RMI_DATA_DESTROY(rd=0x88000000, ipa=0x1000) = SUCCESS data=0x88020000 top=0x2000",
    ),
    (
        "RMI_DATA_DESTROY",
        (0x8800_0000, 0x1000),
        (0x304, 0, 0x2000, 0, 9),
        "rtte_state",
        "RMI_DATA_DESTROY(rd=0x88000000, ipa=0x1000) = ERROR_RTT(3) top=0x2000 [rtte_state]",
    ),
    (
        "RMI_REC_ENTER",
        (0x8800_0000, 0x8801_0000),
        (0x102, 0, 0, 0, 0),
        "system_off",
        "RMI_REC_ENTER(rec=0x88000000, run=0x88010000) = ERROR_REALM(1) [system_off]",
    ),
    (
        "RMI_VERSION",
        (0x10000,),
        (0, 0x10000, 0x10000, 0, 0),
        None,
        "RMI_VERSION(req=1.0) = SUCCESS lower=1.0 higher=1.0",
    ),
    (
        "RSI_IPA_STATE_SET",
        (0x1000, 0x2000, 1, 0),
        (),
        None,
        "RSI_IPA_STATE_SET(base=0x1000, top=0x2000, ripas=RAM, flags=NO_CHANGE_DESTROYED) -> host",
    ),
    ("RSI_HOST_CALL", (0x1000,), (), "rtte_state", "RSI_HOST_CALL(addr=0x1000) -> host [rtte_state]"),
    (
        "RSI_IPA_STATE_GET",
        (0x1000, 0x2000),
        (0, 0x2000, 2),
        None,
        "RSI_IPA_STATE_GET(base=0x1000, top=0x2000) = SUCCESS out_top=0x2000 ripas=DESTROYED",
    ),
    ("PSCI_VERSION", (), (0x10001, 0, 0, 0), None, "PSCI_VERSION() = 1.1"),
    (
        "PSCI_CPU_ON",
        (0, 0x1000, 0),
        (UNKNOWN - 3, 0, 0, 0),
        "target_self",
        "PSCI_CPU_ON(target=0x0, entry_point=0x1000, context_id=0x0) = ALREADY_ON [target_self]",
    ),
    ("RMI_VSMMU_CREATE", (), (UNKNOWN, 0, 0, 0, 0), "not_supported", "RMI_VSMMU_CREATE() = -1 [not_supported]"),
]


@pytest.mark.parametrize(
    ("name", "args", "result", "condition", "line"), LINES, ids=lambda v: v if isinstance(v, str) else ""
)
def test_render(name: str, args: tuple[int, ...], result: tuple[int, ...], condition: str | None, line: str) -> None:
    assert render(named(name), args, result, condition) == line


def test_status_text() -> None:
    assert status_text("RMI", 0x204) == "ERROR_RTT(2)"
    assert status_text("RMI", 10) == "BUSY"  # of a later revision
    assert status_text("RMI", UNKNOWN) == "-1"
    assert status_text("RMI", 0x12345) == "0x12345"
    assert status_text("RSI", 3) == "INCOMPLETE"
    assert status_text("PSCI", UNKNOWN) == "NOT_SUPPORTED"
    assert status_text("RMM", UNKNOWN - 2) == "BAD_PAS"


def test_render__whatever_is_called() -> None:
    """Every declared call, with odd arguments and results, gives one line."""
    for call in calls_by_fid().values():
        for word in (0, 1, UNKNOWN):
            args = call.decode([word] * 20)
            for result in ((), (word,) * 5, (0,) * 12):
                assert "\n" not in render(call, args, result, None)


def test_what_the_observer_is_told_can_be_rendered() -> None:
    world = World()
    guest = world.running_realm()
    guest.enter(smc(0xC400_0192, 0), smc(0xC400_0193, 1, 8, 7), smc(0xC400_0199, 0x1000))
    world.rmm.rmi((0xC400_016A, 0, 0, 0, 0))
    lines = [render(named(name), args, result, cond) for name, args, result, cond, _ in world.log.calls if name]
    assert any(line.startswith("RSI_MEASUREMENT_READ(index=0) = SUCCESS value=") for line in lines)
    assert lines[-1] == "RMI_VSMMU_CREATE() = -1 [not_supported]"


# C headers


def test_headers__every_call_has_a_macro_and_a_wrapper() -> None:
    texts = headers()
    assert sorted(texts) == ["psci.h", "rmi.h", "rsi.h", "smccc.h"]
    for call in rmi.CALLS:
        assert f"#define SMC_{call.name} {call.fid:#x}ULL" in texts["rmi.h"]
        assert f" {call.name.lower()}(" in texts["rmi.h"]
    assert "#define SMC_PSCI_CPU_ON 0xc4000003ULL" in texts["psci.h"]
    assert "#define PSCI_DENIED (-3)" in texts["psci.h"]
    for text in texts.values():
        macros = re.findall(r"#define (\w+)", text)
        assert len(macros) == len(set(macros))


def test_headers__arguments_in_declared_order() -> None:
    text = headers()["rmi.h"]
    assert "static inline uint64_t rmi_data_destroy(uint64_t rd, uint64_t ipa, uint64_t *data, uint64_t *top)" in text
    assert "static inline uint64_t rmi_rtt_create(uint64_t rd, uint64_t rtt, uint64_t ipa, int64_t level)" in text
    assert "rsi_measurement_extend(uint64_t index, uint64_t size, const uint64_t *value)" in headers()["rsi.h"]


def test_headers__written(tmp_path: Path) -> None:
    assert main([str(tmp_path / "include")]) == 0
    assert (tmp_path / "include" / "rsi.h").read_text() == headers()["rsi.h"]
    assert main([]) == 2


# Documentation


def test_docs__name_everything() -> None:
    text = markdown()
    for call in calls_by_fid().values():
        assert call.name in text
        for condition in call.conditions:
            assert f"`{condition.name}`" in text


def test_docs__check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "abi.md"
    assert docs_main(["--check", str(page)]) == 1
    assert docs_main([str(page)]) == 0 and docs_main(["--check", str(page)]) == 0
    page.write_text("old")
    assert docs_main(["--check", str(page)]) == 1
    assert "not what the declarations say" in capsys.readouterr().out
