# SPDX-License-Identifier: GPL-2.0-or-later
"""Filters of traces: docs/trace.md."""

from __future__ import annotations

import pytest

from bridge.errors import UserError
from machine.events import select
from machine.traces.item import values_of
from machine.traces.where import DEEPEST, LONGEST, parse
from tests.machine.traces.items import RD, call, own

RATE = 1_000_000_000
WALK = call(5_000, "RMI_RTT_CREATE", (RD, 0x8801_0000, 0x8000_0000, 2), (0x104,), "rtt_walk", rec=None)
ENTER = call(9_000, "RMI_REC_ENTER", (0x8840_0000, 0x8850_0000), rec=1, realm=RD, start=4_000, pe=2)
GPF = own(7_000, "gpf", pa=0x8800_1000, gpi="realm", va=0xFFFF_0000_8800_1000, el=2)


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("status==ERROR_RTT", [WALK]),
        ("status!=SUCCESS", [WALK]),
        ("status==4", [WALK]),
        ("index==1", [WALK]),
        ("x0 & 0xff == 4", [WALK]),
        ("condition==rtt_walk", [WALK]),
        ("condition ~ 'rtt*'", [WALK]),
        ("rec==1", [ENTER]),
        ("rec==1 and status!=SUCCESS", []),
        ("rec==1 or status!=SUCCESS", [WALK, ENTER]),
        ("rec==1 or status!=SUCCESS and level==3", [ENTER]),
        ("(rec==1 or status!=SUCCESS) and level==2", [WALK]),
        ("realm==0x8800_0000", [ENTER]),
        ("rd==2281701376", [WALK]),
        ("arg.rec==0x8840_0000", [ENTER]),
        ("duration>=5000", [ENTER]),
        ("time<6000 or insns>8999", [WALK, ENTER]),
        ("pe==2", [ENTER]),
        ("world==\"realm\"", [GPF]),
        ("gpi=='realm' and el>1", [GPF]),
        ("not event~'rmi_*'", [GPF]),
        ("not not event=='gpf'", [GPF]),
        ("va > 0xffff_0000_0000_0000", [GPF]),
    ],
)  # fmt: skip
def test_filter__selects(text: str, wanted: list[object]) -> None:
    test = parse(text)
    assert [item for item in (WALK, ENTER, GPF) if test(values_of(item, RATE))] == wanted


@pytest.mark.parametrize("sign", ["==", "!=", "<", "<=", ">", ">="])
def test_field_that_an_event_lacks__compares_false(sign: str) -> None:
    assert not parse(f"level {sign} 2")(values_of(GPF, RATE))


@pytest.mark.parametrize(
    "text, column, what",
    [
        ("", 1, "the name of a field is expected"),
        ("status!=", 9, "a number, a NAME or text"),
        ("status!=SUCESS", 9, "nothing is called `SUCESS` (did you mean `SUCCESS`?)"),
        ("statsu==SUCCESS", 1, "there is no field `statsu` (did you mean `status`?)"),
        ("rec=1", 4, "one of == != < <= > >= ~ is expected"),
        ("rec==1 status!=SUCCESS", 8, "`and` or `or` is expected"),
        ("(rec==1", 8, "`)` is missing"),
        ("rec==1)", 7, "`and` or `or` is expected"),
        ("rec==1 and", 11, "the name of a field"),
        ("rec==0x", 6, "a number, a NAME"),
        ("rec==1__0", 6, "`1__0` is no number"),
        ("status<SUCCESS", 8, "`<` compares with a number"),
        ("event~5", 7, "`~` compares with a glob"),
        ("gpi=='realm", 6, "a number, a NAME"),
        ("__import__('os')", 1, "there is no field"),
        ("rec.__class__==1", 1, "there is no field"),
        ("rec==1 and [x for x in y]", 12, "the name of a field"),
        ("x0 & status==1", 6, "a number is expected"),
    ],
)
def test_what_is_no_filter__is_named_with_its_column(text: str, column: int, what: str) -> None:
    with pytest.raises(UserError) as error:
        parse(text)
    assert str(error.value).startswith(f"--where: column {column}: {what}"), error.value


def test_filter_without_end__is_refused() -> None:
    parse("(" * (DEEPEST - 1) + "rec==1" + ")" * (DEEPEST - 1))
    for text in ("(" * DEEPEST + "rec==1" + ")" * DEEPEST, "not " * 400 + "rec==1", "rec==1 " * LONGEST):
        with pytest.raises(UserError):
            parse(text)


def test_events__are_selected_by_glob_in_either_case() -> None:
    assert select(["RMI_REC_*", " gpf"]) == {
        "rmi_rec_aux_count", "rmi_rec_create", "rmi_rec_destroy", "rmi_rec_enter", "gpf",
    }  # fmt: skip
    assert {"rsi_version", "psci_cpu_on", "ffa_run", "el3_gtsi_delegate", "smc_unknown", "mmio"} <= select(["*"])


def test_glob_that_matches_no_event__is_refused() -> None:
    with pytest.raises(UserError, match="rmi_rtt_creat: no event matches"):
        select(["rmi_*", "rmi_rtt_creat"])
