"""`ccabridge explain` says what the declarations say, about every one of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import cli
from bridge.cli import explain, explain_abi, explain_arch
from bridge.errors import UserError
from rmm.abi import calls_by_fid, structs, values
from rmm.abi.call import Call
from rmm.abi.values import members

CALLS = sorted({call.name: call for call in calls_by_fid().values()}.values(), key=lambda call: call.fid)


def said(*words: str) -> list[str]:
    """The lines of `ccabridge explain WORDS`."""
    what, *value = words
    return list(explain._value(what, value[0]) if value else explain._name(what))


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_call__every_input_output_and_condition_in_order(call: Call) -> None:
    lines = said(call.name)
    assert lines[0].startswith(f"{call.name}  0x{call.fid:08X}")
    assert lines == said(call.name.lower())
    assert lines[: len(said(hex(call.fid)))] == said(hex(call.fid))
    if call.fid32 is not None:
        assert said(hex(call.fid32)) == said(hex(call.fid))
    if not call.supported:
        assert "-1" in lines[1]
        return
    text = "\n".join(lines)
    at = 0
    for condition in call.conditions:
        found = text.index(f" {condition.name} ", at)
        assert condition.doc in text[found:]
        at = found
    for value in (*call.inputs, *call.outputs):
        assert any(line.split()[1:2] == [value.name] for line in lines if line.startswith("    X")), value.name


def test_rtt_create__as_the_issue_asks() -> None:
    lines = said("RMI_RTT_CREATE")
    assert "  RMI_RTT_CREATE(rd, rtt, ipa, level) -> status" in lines
    conditions = [line.split()[1] for line in lines if line[:6].strip().isdigit()]
    assert conditions[0] == "rtt_align"
    assert conditions[-2:] == ["rtt_walk", "rtte_state"]
    assert any("rtt_walk" in line and "RMI_ERROR_RTT[walk]" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("esr", "0x96000010"), "EC=DABT_CURRENT_EL(0x25) IL=1 DFSC=EXTERNAL_ABORT(0x10)"),
        (("esr", "0x92000068"), "EC=DABT_LOWER_EL(0x24) IL=1 DFSC=GPF(0x28) WnR=1"),
        (("ESR", "0x9600_0027"), "granule protection fault on a table fetch, level 3"),
        (("fsc", "0x28"), "granule protection fault"),
        (("rmi-status", "0x204"), "RMI_ERROR_RTT, index 2"),
        (("rmi-status", "0xff04"), "a level of the RTT: -1"),
        (("rmi-status", "0x102"), "RMI_REC_ENTER: system_off"),
        (("rmi-status", "0xffffffffffffffff"), "nobody implements the function id"),
        (("rmi-status", "0x10000"), "no RMI status has bits above 15 set"),
        (("rmi-status", "10"), "BUSY, of a later revision, not of RMM 1.0"),
        (("rsi-status", "1"), "ERROR_INPUT"),
        (("rsi-status", "99"), "no such value"),
        (("psci-status", "-2"), "INVALID_PARAMETERS"),
        (("psci-status", "0xfffffffffffffffe"), "INVALID_PARAMETERS"),
        (("el3-status", "-3"), "BAD_PAS"),
        (("rmi-features", "0x30"), "S2SZ=48"),
        (("exit-reason", "5"), "HOST_CALL"),
        (("ripas", "2"), "DESTROYED"),
        (("gpi", "9"), "non-secure"),
        (("gpi", "1"), "reserved"),
        (("spsr", "0x3c5"), "EL1h nzcv DAIF"),
        (("fid", "0xC400015D"), "RMI_RTT_CREATE"),
        (("FFA_RUN",), "BUSY: the partition runs, on another PE"),
        (("0xC400006F",), "FFA_MSG_SEND_DIRECT_REQ  0xc400006f, SMC32 0x8400006f"),
        (("smc_ffa_mem_share",), "known by name only"),
        (("0xC2000020",), "BAD_PAS: the granule is Realm"),
        (("ffa-status", "-4"), "FFA_RUN: target_running"),
        (("ffa-status", "0xfffffffa"), "FfaStatus -6: DENIED"),
        (("FFA_DENIED",), "FFA_RX_RELEASE: rx_owned"),
        (("0x84000099",), "no call is declared with this function id; the answer is -1"),
        (("SCTLR_EL1",), "S3_0_C1_C0_0"),
        (("s3_0_c12_c12_5",), "ICC_SRE_EL1"),
        (("dc zva",), "S1_3_C7_C4_1"),
        (("RMI_ERROR_RTT",), "RMI_ERROR_RTT"),
        (("PSCI_DENIED",), "-3: DENIED"),
        (("RMI_EXIT_HOST_CALL",), "RMI_EXIT_HOST_CALL = 0x5, in rmi.h"),
        (("rtt_walk",), "RMI_RTT_CREATE = RMI_ERROR_RTT[walk]"),
        (("rmi-features",), "MAX_RECS_ORDER"),
        (("Ripas",), "DESTROYED"),
        (("gpi",), "realm"),
    ],
)
def test_value_and_name(words: tuple[str, ...], expected: str) -> None:
    assert expected in "\n".join(said(*words))


def test_psci_status__negative_numbers_are_no_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "psci-status", "-2"]) == 0
    assert capsys.readouterr().out.startswith("PsciStatus -2: INVALID_PARAMETERS\n")


@pytest.mark.parametrize("struct", structs.STRUCTS, ids=lambda struct: struct.name)
def test_structure__every_field_with_its_offset(struct: structs.Struct) -> None:
    lines = said(struct.name)
    assert said(struct.c_name)[-len(lines) :] == lines  # after the call, where there is one of the same name
    assert len(lines) == len(struct.fields) + 1
    for field, line in zip(struct.fields, lines[1:], strict=True):
        assert int(line.split()[0], 16) == field.offset
        assert line.split()[1] == field.name


def test_rmi_status__only_conditions_that_can_give_the_index() -> None:
    answered = {line.strip() for line in said("rmi-status", "0x204")}
    assert "RMI_DATA_CREATE: rtt_walk" in answered  # its rtte_state is found at level 3 only
    assert "RMI_DATA_CREATE: rtt_walk, rtte_state" in {line.strip() for line in said("rmi-status", "0x304")}


@pytest.mark.parametrize("status", [*members(values.RmiStatus).values()])
def test_rmi_status__names_who_answers_it(status: int) -> None:
    text = "\n".join(said("rmi-status", hex(status)))
    for call in CALLS:
        may = any(c.status == status and c.index in (0, "walk", "level", "level-1") for c in call.conditions)
        if call.interface == "RMI" and status:
            assert (f"    {call.name}: " in text) == may


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["RMI_RTT_CREAT"], "explain: nothing is called `RMI_RTT_CREAT` (did you mean `RMI_RTT_CREATE`?)"),
        (["rmirealmparam"], "explain: nothing is called `rmirealmparam` (did you mean `RmiRealmParams`?)"),
        (["rmi-staus", "4"], "explain: `rmi-staus` is no kind of value (did you mean `rmi-status`?)"),
        (["esr", "0xzz"], "explain esr: expected a 64-bit number such as 0x96000010, got `0xzz`"),
        (["esr", "0x1_0000_0000_0000_0000"], "explain esr: expected a 64-bit number"),
        (["96"], "explain 96: this is no function id; say what it is: `ccabridge explain esr 96`"),
        ([], "explain: what? (see `ccabridge explain --help`)"),
        (["esr", "1", "2"], "explain: unrecognized arguments: 2"),
    ],
)
def test_unknown__did_you_mean_and_2(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"ccabridge: error: {line}")
    assert err.count("\n") == 1


def test_list__everything_in_it_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 800
    for name in (*explain_abi.names(), *explain_arch.names()):
        assert said(name), name


@given(st.sampled_from(sorted(explain._decoders())), st.integers(-(1 << 63), (1 << 64) - 1))
def test_every_value_of_every_kind__is_explained(kind: str, number: int) -> None:
    assert said(kind, str(number))


@given(st.text(), st.none() | st.text())
def test_any_words__are_explained_or_a_user_error(what: str, value: str | None) -> None:
    try:
        assert said(what) if value is None else said(what, value)
    except UserError as error:
        assert "\n" not in str(error)
