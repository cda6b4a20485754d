# SPDX-License-Identifier: GPL-2.0-or-later
"""A host for rule tests: builds realms on an RMM with no emulator beneath it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rmm.abi import rmi
from rmm.abi.call import Call
from rmm.abi.named import Interface
from rmm.abi.structs import HOST_CALL, REALM_PARAMS, REC_ENTER, REC_EXIT, REC_PARAMS
from rmm.bare import Act, BareMemory, BarePlatform, ScriptedRec
from rmm.features import Features
from rmm.protocols import Attester
from rmm.realm import Realm
from rmm.rec import Rec
from rmm.rmm import Rmm

BASE = 0x8000_0000
SIZE = 2 << 20
G = 0x1000
SUCCESS, INPUT, REALM, REC, RTT = 0, 1, 2, 3, 4
UNKNOWN = (1 << 64) - 1
X4 = 0x4444_4444_4444_4444  # what callers leave in X4

RUNNABLE = 1
EMUL_MMIO, INJECT_SEA, TRAP_WFI, TRAP_WFE, REJECT = 1, 2, 4, 8, 16

amend: Callable[[Call], Call] | None = None  # what `make mutate` changes the declarations by


class Log:
    """Observer: every call as (name, args, result, condition, rec_pa), and the last condition."""

    def __init__(self) -> None:
        self.calls: list[tuple[str | None, tuple[int, ...], tuple[int, ...], str | None, int | None]] = []
        self.runs: list[tuple[str, int, str]] = []
        self.granules: list[tuple[int, int, int]] = []

    @property
    def condition(self) -> str | None:
        return self.calls[-1][3]

    def call(
        self,
        decl: Call | None,
        args: tuple[int, ...],
        result: tuple[int, ...],
        condition: str | None,
        rec_pa: int | None,
    ) -> None:
        self.calls.append((None if decl is None else decl.name, args, result, condition, rec_pa))

    def rec_enter(self, rec_pa: int) -> None:
        self.runs.append(("enter", rec_pa, ""))

    def rec_exit(self, rec_pa: int, reason: str) -> None:
        self.runs.append(("exit", rec_pa, reason))

    def granule(self, pa: int, old: int, new: int) -> None:
        self.granules.append((pa, old, new))


def features(**changes: Any) -> Features:
    return Features(**{"rec_aux_count": 2, **changes})


class World:
    """One machine and its host.  `args` of a call are X1 upwards."""

    def __init__(self, offered: Features | None = None, size: int = SIZE, attester: Attester | None = None) -> None:
        self.memory = BareMemory(BASE, size)
        self.platform = BarePlatform(self.memory)
        self.log = Log()
        self.rmm = Rmm(
            self.memory,
            self.platform,
            features=features() if offered is None else offered,
            dram=[(BASE, size)],
            observer=self.log,
            attester=attester,
            amend=amend,
        )
        self.rmi: Interface[tuple[int, ...]] = Interface(rmi.CALLS, lambda decl, args: self.call(decl, *args))
        self._next = BASE
        self.vmid = 0

    # Granules

    def ns(self, count: int = 1, align: int = 1) -> int:
        """PA of `count` fresh Non-secure granules, aligned to `align` granules."""
        pa = (self._next + align * G - 1) // (align * G) * (align * G)
        self._next = pa + count * G
        return pa

    def delegated(self, count: int = 1, align: int = 1) -> int:
        """The same, delegated."""
        first = self.ns(count, align)
        for pa in range(first, first + count * G, G):
            self.ok(rmi.GRANULE_DELEGATE, pa)
        return first

    def state(self, pa: int) -> int:
        return self.rmm.granule_state(pa)

    def is_zero(self, pa: int) -> bool:
        return self.memory.read(pa, G) == bytes(G)

    # Calls

    def call(self, decl: Call, *args: int) -> tuple[int, ...]:
        """X0..X4."""
        x = [decl.fid, *(a & (1 << 64) - 1 for a in args)]
        x += [0] * (8 - len(x))
        if len(args) < 4:
            x[4] = X4
        return self.rmm.rmi(x)

    def ok(self, decl: Call, *args: int) -> tuple[int, ...]:
        """X1..X4 of a call that succeeds."""
        result = self.call(decl, *args)
        assert result[0] == SUCCESS, f"{decl.name}{[hex(a) for a in args]} = {result[0]:#x} [{self.log.condition}]"
        return result[1:]

    def fails(self, decl: Call, *args: int) -> tuple[int, int, str | None]:
        """(status, index, condition)."""
        result = self.call(decl, *args)
        return result[0] & 0xFF, result[0] >> 8, self.log.condition

    # Realms

    def params(self, **fields: Any) -> int:
        """PA of an RmiRealmParams: by default 40 bits, start level 1, two roots."""
        self.vmid += 1
        values: dict[str, Any] = {
            "s2sz": 40,
            "num_bps": 1,
            "num_wps": 1,
            "vmid": self.vmid,
            "rtt_level_start": 1,
            "rtt_num_start": 2,
        }
        values.update(fields)
        if "rtt_base" not in values:
            values["rtt_base"] = self.delegated(values["rtt_num_start"], values["rtt_num_start"])
        pa = self.ns()
        self.memory.host_write(pa, REALM_PARAMS.pack(values))
        return pa

    def realm(self, *, active: bool = False, **fields: Any) -> Realm:
        rd = self.delegated()
        self.ok(rmi.REALM_CREATE, rd, self.params(**fields))
        if active:
            self.ok(rmi.REALM_ACTIVATE, rd)
        return self.rmm.realm_at[rd]

    def tables(self, realm: Realm, ipa: int, level: int = 3) -> int:
        """Creates the tables down to `level` that `ipa` lacks; PA of the last one (0: it was there)."""
        table = 0
        for to_level in range(realm.stage2.start_level + 1, level + 1):
            rtt = self.delegated()
            shift = 39 - 9 * (to_level - 1)
            status = self.call(rmi.RTT_CREATE, realm.rd, rtt, ipa >> shift << shift, to_level)[0]
            assert status & 0xFF in (SUCCESS, RTT)
            table = rtt if status == SUCCESS else table
        return table

    def data(self, realm: Realm, ipa: int) -> int:
        """A DATA_CREATE_UNKNOWN page at `ipa`, tables included."""
        self.tables(realm, ipa)
        pa = self.delegated()
        self.ok(rmi.DATA_CREATE_UNKNOWN, realm.rd, pa, ipa)
        return pa

    def ram(self, realm: Realm, ipa: int) -> int:
        """An ASSIGNED RAM page at `ipa` of a NEW realm, tables included."""
        self.tables(realm, ipa)
        self.ok(rmi.RTT_INIT_RIPAS, realm.rd, ipa, ipa + G)
        return self.data(realm, ipa)

    def entry(self, realm: Realm, ipa: int, level: int = 3) -> tuple[int, int, int, int]:
        """(walk level, HIPAS, descriptor, RIPAS) as RTT_READ_ENTRY has them."""
        walked, hipas, desc, ripas = self.ok(rmi.RTT_READ_ENTRY, realm.rd, ipa, level)
        return walked - (1 << 64) if walked >> 63 else walked, hipas, desc, ripas

    # RECs

    def rec_params(self, mpidr: int = 0, **fields: Any) -> int:
        values: dict[str, Any] = {"flags": RUNNABLE, "mpidr": mpidr, "pc": 0x1000}
        values["num_aux"] = self.rmm.features.rec_aux_count
        values.update(fields)
        if "aux" not in values:
            values["aux"] = [self.delegated() for _ in range(values["num_aux"])]
        values["aux"] = [*values["aux"], *[0] * (16 - len(values["aux"]))]
        pa = self.ns()
        self.memory.host_write(pa, REC_PARAMS.pack(values))
        return pa

    def rec(self, realm: Realm, mpidr: int | None = None, **fields: Any) -> Rec:
        index = realm.rec_count
        mpidr = index & 0xF | index >> 4 << 8 if mpidr is None else mpidr
        pa = self.delegated()
        self.ok(rmi.REC_CREATE, realm.rd, pa, self.rec_params(mpidr, **fields))
        return self.rmm.rec_at[pa]

    def running_realm(self, **fields: Any) -> Guest:
        """An active realm with one REC and RAM pages at 0x1000 and 0x2000."""
        realm = self.realm(**fields)
        pages = {ipa: self.ram(realm, ipa) for ipa in (0x1000, 0x2000)}
        rec = self.rec(realm)
        self.ok(rmi.REALM_ACTIVATE, realm.rd)
        return Guest(self, realm, rec, pages)


def context(rec: Rec) -> ScriptedRec:
    assert isinstance(rec.context, ScriptedRec)
    return rec.context


class Guest:
    """A REC with its run granule.  pages: {IPA: PA} of RAM."""

    def __init__(self, world: World, realm: Realm, rec: Rec, pages: dict[int, int]) -> None:
        self.world = world
        self.realm = realm
        self.rec = rec
        self.pages = pages
        self.run = world.ns()
        self.pe = context(rec)

    def put(self, **fields: Any) -> None:
        """Fills in the RmiRecEnter."""
        self.world.memory.host_write(self.run, REC_ENTER.pack(fields))

    def enter(self, *acts: Act, **fields: Any) -> dict[str, Any]:
        """One successful REC_ENTER in which the realm does `acts`; the RmiRecExit."""
        self.put(**fields)
        self.pe.script.clear()
        self.pe.script.extend(acts)
        self.world.ok(rmi.REC_ENTER, self.rec.pa, self.run)
        return self.exit()

    def refused(self, **fields: Any) -> tuple[int, int, str | None]:
        """(status, index, condition) of a REC_ENTER that fails."""
        self.put(**fields)
        return self.world.fails(rmi.REC_ENTER, self.rec.pa, self.run)

    def exit(self) -> dict[str, Any]:
        return REC_EXIT.unpack(self.world.memory.host_read(self.run + 0x800, 0x800))

    def rsi(self, *registers: int) -> list[int]:
        """X0..X9 after one SMC that does not leave the realm."""
        from rmm.bare import smc

        self.enter(smc(*registers))
        return list(self.pe.x[:10])

    def host_call(self, ipa: int, imm: int, gprs: Sequence[int]) -> None:
        """Writes an RsiHostCall into the realm's page."""
        page = self.pages[ipa & -G]
        self.world.memory.write(page + (ipa & G - 1), HOST_CALL.pack({"imm": imm, "gprs": list(gprs)}))


def snapshot(world: World) -> tuple[Any, ...]:
    """Everything that a failed call must leave alone."""
    rmm = world.rmm

    def state(thing: object) -> dict[str, Any]:
        names = [name for name in thing.__slots__ if name not in ("realm", "context", "recs", "pages", "hash")]
        return {name: repr(getattr(thing, name, None)) for name in names}

    return (
        bytes(world.memory.data),
        frozenset(world.memory.realm),
        tuple(rmm.granules),
        [(state(realm), sorted(realm.recs)) for realm in rmm.realms()],
        [(state(rec), rec.context.pc, tuple(context(rec).x), tuple(context(rec).injected)) for rec in rmm.recs()],
        frozenset(rmm.vmids),
    )
