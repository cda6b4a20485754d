"""RECs that PEs run in turns: REC_ENTER in progress, and what others may do meanwhile (§3.9, §3.10, §3.22)."""

from __future__ import annotations

from rmm.abi import rmi, rsi
from rmm.abi.structs import REC_EXIT
from rmm.abi.values import ExitReason, RealmState
from rmm.bare import interrupt, preempted, smc
from rmm.frame import PAUSED, Frame
from rmm.protocols import ExitKind
from tests.rmm.fakes import Guest, World

INPUT, REALM, REC = 1, 2, 3
HOST_CALL = rsi.HOST_CALL.fid
CPU_ON = 0xC400_0003


def paused(guest: Guest) -> Frame:
    """A REC_ENTER whose REC has been preempted once, and then ends by FIQ."""
    guest.put()
    guest.pe.script.extend((preempted, interrupt(ExitKind.FIQ)))
    assert guest.world.rmm.rmi((rmi.REC_ENTER.fid, guest.rec.pa, guest.run, 0, 0, 0, 0)) is PAUSED
    entry = guest.world.rmm.paused
    assert entry is not None
    return entry


def second_rec(world: World) -> tuple[Guest, Guest]:
    realm = world.realm()
    recs = [world.rec(realm) for _ in range(2)]
    world.ok(rmi.REALM_ACTIVATE, realm.rd)
    first, second = (Guest(world, realm, rec, {}) for rec in recs)
    return first, second


def test_preempted_rec__goes_on_where_it_was() -> None:
    guest = World().running_realm()
    entry = paused(guest)
    assert guest.world.rmm.resume(entry) == (0, 0, 0, 0, 0)
    assert guest.exit()["exit_reason"] == ExitReason.FIQ
    assert len(guest.pe.entries) == 2
    assert guest.pe.entries[0] == guest.pe.entries[1]


def test_preempted_rec__may_be_preempted_again() -> None:
    guest = World().running_realm()
    guest.pe.script.append(preempted)
    entry = paused(guest)
    assert guest.world.rmm.resume(entry) is PAUSED
    assert guest.rec.running
    assert guest.world.rmm.resume(entry) == (0, 0, 0, 0, 0)
    assert not guest.rec.running


def test_preempted_rec__answers_its_own_calls_when_it_goes_on() -> None:
    guest = World().running_realm()
    entry = paused(guest)
    guest.pe.script.appendleft(smc(rsi.VERSION.fid, 0x10000))
    guest.world.rmm.resume(entry)
    assert guest.pe.x[:3] == [0, 0x10000, 0x10000]


def test_running_rec__is_locked() -> None:
    guest = World().running_realm()
    entry = paused(guest)
    other_run = guest.world.ns()
    assert guest.world.fails(rmi.REC_ENTER, guest.rec.pa, other_run) == (REC, 0, "rec_running")
    assert guest.world.fails(rmi.REC_DESTROY, guest.rec.pa) == (REC, 0, "rec_running")
    assert guest.world.fails(rmi.REALM_DESTROY, guest.realm.rd)[0] == REALM
    guest.world.rmm.resume(entry)
    guest.world.ok(rmi.REC_DESTROY, guest.rec.pa)


def test_other_recs__run_while_one_is_preempted() -> None:
    first, second = second_rec(World())
    entry = paused(first)
    assert second.enter(interrupt(ExitKind.IRQ))["exit_reason"] == ExitReason.IRQ
    assert first.world.rmm.resume(entry) == (0, 0, 0, 0, 0)
    assert first.exit()["exit_reason"] == ExitReason.FIQ


def test_two_recs__may_be_preempted_at_once() -> None:
    first, second = second_rec(World())
    entries = [paused(first), paused(second)]
    for guest, entry in zip((second, first), reversed(entries), strict=True):
        assert guest.world.rmm.resume(entry) == (0, 0, 0, 0, 0)
        assert guest.exit()["exit_reason"] == ExitReason.FIQ


def test_system_off__of_another_rec_lets_the_preempted_one_finish_its_entry() -> None:
    """§8: SYSTEM_OFF changes the realm's state; a REC that runs leaves when it does, and is not entered again."""
    first, second = second_rec(World())
    entry = paused(first)
    second.enter(smc(0x8400_0008))
    assert first.realm.state == RealmState.SYSTEM_OFF
    assert first.world.rmm.resume(entry) == (0, 0, 0, 0, 0)
    assert first.refused() == (REALM, 1, "system_off")


def test_psci_complete__does_not_touch_a_target_that_runs() -> None:
    """§3.22: a running target is ON: the caller gets ALREADY_ON, the target keeps its PC."""
    first, second = second_rec(World())
    entry = paused(first)
    pc = first.pe.pc
    second.enter(smc(CPU_ON, 0, 0x1000, 0))
    second.world.ok(rmi.PSCI_COMPLETE, second.rec.pa, first.rec.pa, 0)
    assert first.pe.pc == pc
    second.enter()
    assert second.pe.entries[-1][0] == (1 << 64) - 4
    first.world.rmm.resume(entry)


def test_run_granule__that_the_host_gives_away_meanwhile_gets_no_exit_record() -> None:
    """§3.10: the exit record cannot be written: ERROR_INPUT, and the REC is no longer running."""
    guest = World().running_realm()
    entry = paused(guest)
    guest.world.ok(rmi.GRANULE_DELEGATE, guest.run)
    assert guest.world.rmm.resume(entry)[0] == INPUT
    assert guest.world.is_zero(guest.run)
    assert not guest.rec.running


def test_exit_record__is_written_when_the_rec_leaves_and_not_before() -> None:
    guest = World().running_realm()
    guest.put()
    marker = b"\xaa" * REC_EXIT.size
    guest.world.memory.host_write(guest.run + 0x800, marker)
    entry = paused(guest)
    guest.world.memory.host_write(guest.run + 0x800, marker)
    assert guest.world.memory.host_read(guest.run + 0x800, REC_EXIT.size) == marker
    guest.world.rmm.resume(entry)
    assert guest.exit()["exit_reason"] == ExitReason.FIQ
