# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines in scripts (docs/library.md)."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from bridge.errors import UserError
from machine.config.loader import load
from machine.end import End
from machine.library import CallFailed, NotReached, Session, Stop, call
from machine.machine import Machine
from machine.vmm.door import HostMemoryFault
from rmm.abi.bits import REC_CREATE_FLAGS, REC_ENTER_FLAGS
from rmm.abi.structs import REALM_PARAMS, REC_PARAMS
from rmm.abi.values import ExitReason
from tests.system.assemble import assemble

AT = 0x8800_0000
IPA = 0x8000_0000


@pytest.fixture
def hello() -> Iterator[Session]:
    with Session() as session:
        yield session


@pytest.fixture
def script() -> Iterator[Session]:
    with Session(host="script") as session:
        yield session


def normal_world(folder: Path, text: str) -> Session:
    """A machine whose Normal world is a few instructions."""
    program = assemble(folder, text, AT)
    return Session({"load": {"host": None, "own": {"file": str(program)}}, "boot": {"entry": "own"}})


# Running


def test_run__pieces_are_the_same_run() -> None:
    """Stops and steps take no time of the guest's."""
    plain = Machine(load("hello-realm"), lambda _text: None)
    plain.run()
    with Session() as session:
        assert isinstance(session.run("rmi:REALM_CREATE"), Stop)
        before = session.machine.board.insns
        assert isinstance(session.step(3), Stop)
        assert session.machine.board.insns == before + 3
        session.wait_for("Hello")
        end = session.run()
        assert isinstance(end, End) and end.code == 0
        assert session.run() is end and session.step() is end
        assert session.machine.board.insns == plain.board.insns
    plain.close()


def test_run__within_is_virtual_time(hello: Session) -> None:
    """The default clock retires 10^9 instructions a second: 1 ns each."""
    stop = hello.run(within=5000)
    assert isinstance(stop, Stop)
    assert hello.time == hello.machine.board.insns == 5000


def test_run__breakpoints_of_ones_own_stay(hello: Session) -> None:
    hello.stops.add("rmi:RTT_CREATE")
    assert [isinstance(hello.run(), Stop) for _ in range(3)] == [True, True, False]


def test_run__two_sessions_do_not_mix() -> None:
    with Session() as one, Session() as other:
        one.run("realm:main")
        assert other.run("rmi:VERSION") and not other.realms
        assert len(one.realms) == 1
        assert one.run() and other.run() and one.output == other.output


def test_run__an_interrupt_from_outside_ends_it(tmp_path: Path) -> None:
    """As Ctrl-C does, or a test's time limit: the thread of the run does not stay behind."""

    class Enough(Exception):
        pass

    def enough(_signal: int, _frame: FrameType | None) -> None:
        raise Enough

    with normal_world(tmp_path, "b .") as session:
        previous = signal.signal(signal.SIGALRM, enough)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            with pytest.raises(Enough):
                session.run()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        with pytest.raises(UserError, match="interrupted"):
            session.run()


def test_close__in_mid_run_and_twice() -> None:
    session = Session()
    session.run("realm:main")
    session.close()
    session.close()
    for use in (session.run, session.step, session.inject_sea, lambda: session.inspect("world"), lambda: session.rmi):
        with pytest.raises(UserError, match="closed"):
            use()
    assert session.report()[0].startswith("<Session hello-realm: stopped")


# What a machine is made from


def test_source__a_mapping_over_a_board() -> None:
    with Session({"memory": {"dram": {"size": "1G"}}, "limits": {"instructions": 100}}) as session:
        assert session.machine.config.memory["dram"].size == 1 << 30
        end = session.run()
        assert isinstance(end, End) and end.kind == "timeout"


def test_source__a_file_with_overrides(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("layers: [hello-realm]\n")
    with Session(path, overrides=["limits.instructions=7"]) as session:
        assert session.machine.config.limits.instructions == 7


def test_source__what_is_wrong_is_a_user_error() -> None:
    for wrong in ({"memry": {}}, {"layers": ["a", "b"]}):
        with pytest.raises(UserError):
            Session(wrong)
    with pytest.raises(UserError, match="host='nobody'"):
        Session(host="nobody")


# Consoles


def test_wait_for__reads_on_behind_what_it_found(hello: Session) -> None:
    assert hello.wait_for("realm", console="realm 0").text.startswith("Hello from a realm")
    assert hello.wait_for(re.compile(r"returned and \w+")).label == "NS"
    with pytest.raises(NotReached, match="before the end") as error:
        hello.wait_for("Hello")
    assert error.value.end is not None and error.value.end.code == 0


def test_wait_for__a_guest_that_never_prints_ends_by_virtual_time(tmp_path: Path) -> None:
    with normal_world(tmp_path, "b .") as session:
        with pytest.raises(NotReached, match="in time"):
            session.wait_for("anything", within=1_000_000)
        assert 1_000_000 <= session.time <= 1_000_002


def test_wait_for__finds_a_prompt_without_an_end_of_line(tmp_path: Path) -> None:
    """PL011 (DDI 0183 §3.3.1): a write to UARTDR at offset 0 sends a character."""
    prompt = "".join(f"mov w1, #{ord(c)}\nstrb w1, [x0]\n" for c in "login: ")
    with normal_world(tmp_path, f"movz x0, #0x0900, lsl #16\n{prompt}b .") as session:
        line = session.wait_for("login:")
        assert (line.label, line.text) == ("NS", "login:")
        assert session.output == []
        with pytest.raises(NotReached):
            session.wait_for("login:", within=1000)


def test_type__reaches_the_uart(tmp_path: Path) -> None:
    """DDI 0183 §3.3.3: UARTFR (0x018) bit 4 RXFE is set while nothing has come."""
    echo = """
        movz x0, #0x0900, lsl #16
        mov w1, #0x300              // UARTCR: RXE, TXE
    1:  ldr w1, [x0, #0x18]
        tbnz w1, #4, 1b
        ldr w1, [x0]
        add w1, w1, #1
        strb w1, [x0]
        b 1b
    """
    with normal_world(tmp_path, echo) as session:
        session.run(within=1000)
        session.type("HAL\t", console="NS")
        assert session.wait_for("IBM", within=100_000)
        assert session.wait_for(re.compile("\n|$"), within=100_000)


# Calls by name


def test_rmi__status_index_condition_and_outputs(hello: Session) -> None:
    hello.run("realm:main")
    rd = hello.realms[0].rd
    version = hello.rmi.VERSION(req=0x1_0000).check()
    assert (version.status, version["lower"], version["higher"]) == ("SUCCESS", 0x1_0000, 0x1_0000)
    table = hello.rmi.RTT_DESTROY(rd=rd, ipa=0, level=3)
    assert (table.status, table.index, table.condition) == ("ERROR_RTT", 1, "rtt_walk")
    assert set(table) == {"top"} and table["top"] == IPA
    assert str(table) == f"RMI_RTT_DESTROY(rd={rd:#x}, ipa=0x0, level=3) = ERROR_RTT(1) top=0x80000000 [rtt_walk]"
    with pytest.raises(CallFailed, match="realm_recs"):
        hello.rmi.REALM_DESTROY(rd=rd).check()
    assert hello.smc(0xC400_01FF)[0] == (1 << 64) - 1


def test_rmi__recs_of_a_machine_with_a_host_are_that_hosts(hello: Session) -> None:
    hello.run("realm:main")
    with pytest.raises(UserError, match="host='script'"):
        hello.rmi.REC_ENTER(rec=hello.recs[0].pa, run=0x9400_0000)
    with pytest.raises(UserError, match="host of its own"):
        _ = hello.host


def make_realm(session: Session, code: bytes) -> tuple[int, int]:
    """RD and REC of an active realm with one page of code; as rmm-abi.md §3 has it, call by call."""
    host, rmi = session.host, session.rmi
    root, rd, rec, data = (host.delegated() for _ in range(4))
    params = host.put(
        REALM_PARAMS, s2sz=33, num_bps=1, num_wps=1, vmid=1, rtt_base=root, rtt_level_start=1, rtt_num_start=1
    )
    rmi.REALM_CREATE(rd=rd, params=params).check()
    for level in (2, 3):
        rmi.RTT_CREATE(rd=rd, rtt=host.delegated(), ipa=IPA, level=level).check()
    rmi.RTT_INIT_RIPAS(rd=rd, base=IPA, top=IPA + 0x1000).check()
    source = host.pages()
    session.write(source, code)
    rmi.DATA_CREATE(rd=rd, data=data, ipa=IPA, src=source, flags=1).check()
    aux = [host.delegated() for _ in range(rmi.REC_AUX_COUNT(rd=rd)["aux_count"])]
    rec_params = host.put(
        REC_PARAMS,
        flags=REC_CREATE_FLAGS.encode(RUNNABLE=1),
        pc=IPA,
        num_aux=len(aux),
        aux=[*aux, *[0] * (16 - len(aux))],
    )
    rmi.REC_CREATE(rd=rd, rec=rec, params=rec_params).check()
    rmi.REALM_ACTIVATE(rd=rd).check()
    return rd, rec


WFI, B_SELF = 0xD503_207F, 0x1400_0000
LDR_X0_X1, ADR_X2_2K, MSR_VBAR_X2 = 0xF940_0020, 0x1000_4002, 0xD518_C002
MOV_X1_4G = 0xD2C0_0021  # movz x1, #1, lsl #32: the first unprotected IPA of 33 bits


def words(*instructions: int) -> bytes:
    return b"".join(word.to_bytes(4, "little") for word in instructions)


def test_script__is_host_of_a_realm(script: Session) -> None:
    rd, rec = make_realm(script, words(WFI, B_SELF))
    assert script.granule(rd) == ("realm", "RD")
    assert script.granule(script.host.pages()) == ("non-secure", "UNDELEGATED")
    assert script.walk(rd, IPA)[-1].hipas == "ASSIGNED"
    with pytest.raises(HostMemoryFault):
        script.read(rd, 8)
    entered = script.host.enter(rec, flags=REC_ENTER_FLAGS.encode(TRAP_WFI=1))
    assert entered.result.ok
    assert (entered.exit["exit_reason"], entered.exit["esr"] >> 26) == (ExitReason.SYNC, 1)  # DDI 0487: EC 1 is WFx
    script.assert_calls(["rmi_realm_create", call("rmi_rtt_create", level=2), "rmi_rec_enter = SUCCESS"])


def test_script__a_realm_that_goes_on_for_ever_is_called_back() -> None:
    with Session(host="script", bound=1_000_000) as script:
        _, rec = make_realm(script, words(B_SELF))
        entered = script.host.enter(rec)
        assert entered.exit["exit_reason"] == ExitReason.IRQ
        assert 1_000_000 <= script.time < 30_000_000


def test_script__a_realm_that_waits_for_nothing_comes_back(script: Session) -> None:
    _, rec = make_realm(script, words(WFI, B_SELF))
    assert script.host.enter(rec).exit["exit_reason"] == ExitReason.IRQ


def test_script__injects_an_external_abort(script: Session) -> None:
    """rmm-abi.md §6.3: INJECT_SEA answers an access to an unprotected IPA; the realm takes it at VBAR + 0x200."""
    code = words(ADR_X2_2K, MSR_VBAR_X2, MOV_X1_4G, LDR_X0_X1, B_SELF)
    _, rec = make_realm(script, code.ljust(0xA00, b"\0") + words(WFI))
    first = script.host.enter(rec)
    assert first.exit["esr"] >> 26 == 0x24 and first.exit["hpfar"] >> 4 == 1 << 32 >> 12
    second = script.host.enter(rec, flags=REC_ENTER_FLAGS.encode(INJECT_SEA=1, TRAP_WFI=1))
    assert second.exit["esr"] >> 26 == 1


def test_script__nothing_runs_by_itself(script: Session) -> None:
    with pytest.raises(UserError, match="nothing runs by itself"):
        script.run()
    with pytest.raises(UserError, match="power of two"):
        script.host.pages(3)
    with pytest.raises(UserError, match="no field `s3sz`"):
        script.host.put(REALM_PARAMS, s3sz=1)


def test_script__a_call_with_wrong_inputs_is_not_made(script: Session) -> None:
    with pytest.raises(TypeError, match="missing params"):
        script.rmi.REALM_CREATE(rd=1)
    assert script.calls == []


# Faults


def test_inject_sea__is_taken_at_el1(hello: Session) -> None:
    """DDI 0487 D24.2.40: EC 0x25, IL, EA, DFSC 0x10 (synchronous external abort, not on a walk)."""
    hello.run("realm:main")
    hello.inject_sea(0x1234)
    hello.wait_for("ESR_EL1 0x96000210, FAR_EL1 0x1234", console="realm 0")
    hello.run()
    with pytest.raises(UserError, match="nothing stands still"):
        hello.inject_sea()


def test_kick__a_rec_leaves_by_irq(hello: Session) -> None:
    hello.run("realm:main")
    hello.kick()
    hello.run("event:rec_exit")
    assert hello.trace(2)[0].endswith("exits: IRQ")
    with pytest.raises(UserError, match="no PE 9"):
        hello.kick(9)


def test_interrupt__is_pending_at_the_gic(hello: Session) -> None:
    with Session("irqs") as session:
        session.run(within=2000)
        assert session.machine.gic is not None
        session.interrupt(40)
        assert session.machine.gic.interrupt(40).pending
        session.interrupt(40, False)
        assert not session.machine.gic.interrupt(40).pending
        with pytest.raises(UserError, match="no SPI"):
            session.interrupt(5)
    with pytest.raises(UserError, match="no GIC"):
        hello.interrupt(40)


def test_corrupt__changes_code_that_was_translated(hello: Session) -> None:
    """An instruction that is none: the realm's vector reports EC 0 (DDI 0487 D24.2.40)."""
    stop = hello.run("realm:main")
    assert isinstance(stop, Stop) and stop.core is not None
    at = stop.core.translate(stop.core.pc, 2)
    assert at is not None
    hello.corrupt(at[0], bytes(4))
    hello.wait_for("ESR_EL1 0x2000000,")
    with pytest.raises(UserError, match="no memory"):
        hello.corrupt(0, b"x")


# Calls that were made


def test_assert_calls__order_and_fields(hello: Session) -> None:
    hello.run()
    hello.assert_calls(
        [
            "rmi_version",
            call("RMI_RTT_CREATE", "SUCCESS", level=3),
            call("rmi_data_create", flags="MEASURE_CONTENT"),
            "rsi_host_call",
            "rmi_realm_destroy = SUCCESS",
        ]
    )


def test_assert_calls__a_failure_shows_what_is_different(hello: Session) -> None:
    hello.run()
    with pytest.raises(AssertionError) as error:
        hello.assert_calls(["rmi_version", call("rmi_rtt_create", "ERROR_RTT", level=3), "rmi_data_create"])
    lines = str(error.value).splitlines()
    assert lines[1] == "    rmi_version    call 0"
    assert lines[2] == "  > rmi_rtt_create level=3 status=ERROR_RTT    not found"
    assert lines[3] == "    rmi_data_create"
    assert "status is SUCCESS, not ERROR_RTT" in lines[6]
    assert len(lines) < 30


def test_assert_calls__says_what_was_made_too_early(hello: Session) -> None:
    hello.run()
    with pytest.raises(AssertionError, match="earlier, at call 0, it was made"):
        hello.assert_calls(["rmi_rec_enter", "rmi_version"])


def test_assert_calls__misspelt_names_are_no_failed_expectations(hello: Session) -> None:
    with pytest.raises(UserError, match="rmi_rtt_create"):
        hello.assert_calls(["rmi_rtt_creat"])
    with pytest.raises(UserError, match="no event has a field `levle`"):
        call("rmi_rtt_create", levle=1)


def test_events__only_so_many_are_kept() -> None:
    with Session(keep=10) as session:
        session.run()
        assert len(session.events) == 10
        with pytest.raises(AssertionError, match=r"the first \d+ events are no longer known"):
            session.assert_calls(["rmi_version"])


def test_report__says_how_a_machine_ended() -> None:
    with Session(overrides=["limits.instructions=60000"]) as session:
        session.run()
        text = "\n".join(session.report())
    assert "ccabridge: stopped: the limit of virtual time or instructions" in text
    assert "RMI_GRANULE_DELEGATE" in text
