# SPDX-License-Identifier: GPL-2.0-or-later
"""Replays recorded answers of a reference RMM: every call of every sequence is made and compared.

A file holds one JSON object a line (also gzipped): one boot, with the operations of a host and of scripted realms.
Differences that the specification settles against the reference (rmm-abi.md §12) are counted by name; where the
reference went on from its own answer, so does the replay, lest later calls meet another state.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rmm.abi.call import Call
from rmm.abi.rmi import RTT_SET_RIPAS as SET_RIPAS
from rmm.abi.values import GranuleState, HashAlgorithm, RmiStatus, members
from rmm.bare import Act, BareMemory, BarePlatform, ScriptedRec, exception, interrupt, smc
from rmm.exits import EMULATABLE_MASK, NON_EMULATABLE_MASK, ipa_of
from rmm.features import Features
from rmm.frame import bind_rmi
from rmm.protocols import ExitKind, HostFault
from rmm.rec import Rec
from rmm.rmm import HANDLERS, Rmm
from rmm.stage2 import entry_size

DRAM_BASE, DRAM_SIZE = 0x8000_0000, 16 << 20
_PAGE = 0x1000
_MASK64 = (1 << 64) - 1
_STATES = {value: name for name, value in members(GranuleState).items()}
_REC_ENTER = "REC_ENTER"
_MAX_DIFFERENCES = 200  # kept word for word; all are counted


class Tally:
    """Counts for one command, or one kind of observation."""

    __slots__ = ("agreed", "calls", "deviations", "different")

    def __init__(self) -> None:
        self.calls = 0
        self.agreed = 0
        self.different = 0
        self.deviations: dict[str, int] = {}

    def deviate(self, name: str) -> None:
        self.deviations[name] = self.deviations.get(name, 0) + 1


class Report:
    """What a replay found.

    tallies: by command ("RMI_RTT_FOLD") or observation ("rim", "read", "granules", "entry").
    """

    def __init__(self) -> None:
        self.sequences = 0
        self.tallies: dict[str, Tally] = {}
        self.differences: list[str] = []

    def tally(self, name: str) -> Tally:
        found = self.tallies.get(name)
        if found is None:
            found = self.tallies[name] = Tally()
        return found

    @property
    def passed(self) -> int:
        """Comparisons that agree, or differ by name."""
        return sum(t.agreed + sum(t.deviations.values()) for t in self.tallies.values())

    @property
    def failed(self) -> int:
        """Unexplained differences."""
        return sum(t.different for t in self.tallies.values())

    @property
    def deviations(self) -> dict[str, int]:
        """{name: count} over all commands."""
        out: dict[str, int] = {}
        for tally in self.tallies.values():
            for name, count in tally.deviations.items():
                out[name] = out.get(name, 0) + count
        return out

    def lines(self) -> Iterator[str]:
        """For a person; ends in `N passed, N failed`."""
        for name in sorted(self.tallies):
            tally = self.tallies[name]
            tail = "".join(f", {n}: {count}" for n, count in sorted(tally.deviations.items()))
            wrong = f", {tally.different} UNEXPLAINED" if tally.different else ""
            yield f"{name:28} {tally.calls:6} compared, {tally.agreed:6} agree{tail}{wrong}"
        yield from self.differences
        yield f"{self.sequences} sequences: {self.passed} passed, {self.failed} failed"


class CorpusError(ValueError):
    """A file that is not in the format; the message names file and line."""


def _field(register: int, low: int, bits: int = 4) -> int:
    return register >> low & (1 << bits) - 1


_PA_WIDTHS = (32, 36, 40, 42, 44, 48, 52)


def features_of(sequence: dict[str, Any]) -> Features:
    """The machine that a sequence was recorded on: the default one, changed by the registers that it names.

    Default: RMI_FEATURES register 0 = 0x283fc104130, 8-bit VMIDs, PA width 48, one list register.
    """
    registers = {}
    for item in filter(None, (sequence.get("sysregs") or "").split(",")):
        name, _, value = item.partition("=")
        registers[name.strip().lower()] = int(value, 16)
    width, lpa2, bps, wps, pmu, counters, lrs, priority_bits = 48, True, 1, 1, True, 31, 0, 1
    sve, vmid_bits, id_bits, ext_range = False, 8, 16, False
    if (mmfr0 := registers.get("id_aa64mmfr0_el1")) is not None:
        width = _PA_WIDTHS[_field(mmfr0, 0)]
        lpa2 = _field(mmfr0, 28) == 1 and _field(mmfr0, 40) == 3
    if (mmfr1 := registers.get("id_aa64mmfr1_el1")) is not None:
        vmid_bits = 16 if _field(mmfr1, 4) == 2 else 8
    if (dfr0 := registers.get("id_aa64dfr0_el1")) is not None:
        bps, wps, pmu = _field(dfr0, 12), _field(dfr0, 20), _field(dfr0, 8) != 0
    if (pmcr := registers.get("pmcr_el0")) is not None:
        counters = _field(pmcr, 11, 5)
    if (pfr0 := registers.get("id_aa64pfr0_el1")) is not None:
        sve = _field(pfr0, 32) != 0
    if (vtr := registers.get("ich_vtr_el2")) is not None:
        lrs, priority_bits = _field(vtr, 0, 5), _field(vtr, 29, 3) + 1
        id_bits = 24 if _field(vtr, 23, 3) == 1 else 16
        ext_range = bool(_field(vtr, 19, 1))
    return Features(
        s2sz=min(width, 52 if lpa2 else 48),
        lpa2=lpa2,
        sve=sve,
        num_bps=bps,
        num_wps=wps,
        pmu=pmu,
        pmu_num_ctrs=counters,
        gicv3_num_lrs=lrs,
        gic_priority_bits=priority_bits,
        gic_id_bits=id_bits,
        gic_ext_range=ext_range,
        vmid_bits=vmid_bits,
        pa_width=width,
    )


def mix(value: int) -> int:
    """One step of splitmix64, by which `fill` makes a granule's words."""
    value = value + 0x9E3779B97F4A7C15 & _MASK64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK64
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK64
    return value ^ value >> 31


def _act(op: dict[str, Any]) -> Act:
    values = op["v"]
    match op["act"]:
        case "smc":
            return smc(*values)
        case "abt":
            return exception(*values)
        case "irq":
            return interrupt(ExitKind.IRQ)
        case "fiq":
            return interrupt(ExitKind.FIQ)
        case "serr":
            return interrupt(ExitKind.SERROR, *values)
    raise KeyError(op["act"])


def _is_word(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MASK64


def _are_words(value: object, count: int = 0) -> bool:
    return isinstance(value, list) and len(value) >= count and all(_is_word(word) for word in value)


# What operations hold.  Of an SMC X1..X6 go in and X0..X4 come out; None: the reference crashed.
_FIELDS: dict[str, Callable[[object], bool]] = {
    "fid": _is_word,
    "val": _is_word,
    "seed": _is_word,
    "rd": _is_word,
    "args": lambda value: _are_words(value, 6),
    "v": _are_words,
    "out_release": lambda value: value is None or _are_words(value, 5),
}


def _check(op: dict[str, Any]) -> None:
    """ValueError for a field that is not what its name says."""
    for name, holds in _FIELDS.items():
        if name in op and not holds(op[name]):
            raise ValueError(f"{name}: {str(op[name])[:80]}")
    kind, pa = op["op"], op.get("pa", DRAM_BASE)
    if not _is_word(pa) or not DRAM_BASE <= pa <= DRAM_BASE + DRAM_SIZE - (_PAGE if kind in ("zero", "fill") else 8):
        raise ValueError(f"pa: {str(pa)[:80]}")
    if kind == "smc" and not (op["out"] is None or _are_words(op["out"], 5)):
        raise ValueError(f"out: {str(op['out'])[:80]}")


class _Conditions:
    """Observer that keeps the condition of the last RMI call."""

    def __init__(self) -> None:
        self.last: str | None = None

    def call(self, decl: Call | None, args: Any, result: Any, condition: str | None, rec_pa: int | None) -> None:
        if rec_pa is None:
            self.last = condition

    def rec_enter(self, rec_pa: int) -> None: ...
    def rec_exit(self, rec_pa: int, reason: str) -> None: ...
    def granule(self, pa: int, old: int, new: int) -> None: ...


_SUCCESS, _RTT = RmiStatus.SUCCESS, RmiStatus.ERROR_RTT

# (command, condition that we meet, statuses with which the reference answers) and the difference's name.
_NAMED = (
    ("REALM_CREATE", "rtt_base_align", (_SUCCESS,), "rtt_base_alignment_unchecked"),
    ("RTT_SET_RIPAS", "top_align", (_SUCCESS, _RTT), "set_ripas_top_alignment_unchecked"),
    ("REC_ENTER", "emul_mmio", (_SUCCESS,), "emul_mmio_of_protected_abort_accepted"),
    ("RTT_MAP_UNPROTECTED", "level_start", (_SUCCESS, _RTT), "level_above_start_unchecked"),
    ("RTT_UNMAP_UNPROTECTED", "level_start", (_SUCCESS, _RTT), "level_above_start_unchecked"),
)
_ASSIGNED, _DESTROYED = 1, 2


class _Replay:
    """One sequence on a fresh RMM."""

    def __init__(self, sequence: dict[str, Any], where: str, report: Report) -> None:
        self.where = where
        self.report = report
        self.memory = BareMemory(DRAM_BASE, DRAM_SIZE)
        self.platform = BarePlatform(self.memory)
        self.conditions = _Conditions()
        self.rmm = Rmm(
            self.memory,
            self.platform,
            features=features_of(sequence),
            dram=[(DRAM_BASE, DRAM_SIZE)],
            observer=self.conditions,
        )
        self.queue: list[Act] = []
        self.entered: Rec | None = None  # the REC of the last REC_ENTER
        self.entered_par_end = 0
        self.index = 0

    def run(self, operations: Iterable[dict[str, Any]]) -> None:
        for self.index, op in enumerate(operations):
            _check(op)
            getattr(self, "_" + op["op"])(op)

    def _differ(self, tally: Tally, text: str) -> None:
        tally.different += 1
        if len(self.report.differences) < _MAX_DIFFERENCES:
            self.report.differences.append(f"{self.where}, operation {self.index}: {text}")

    def _compare(self, name: str, ours: object, theirs: object, what: str) -> None:
        tally = self.report.tally(name)
        tally.calls += 1
        if ours == theirs:
            tally.agreed += 1
        else:
            self._differ(tally, f"{what}: {ours}, reference {theirs}")

    # The host's memory

    def _zero(self, op: dict[str, Any]) -> None:
        self.memory.zero(op["pa"], _PAGE)

    def _w64(self, op: dict[str, Any]) -> None:
        self.memory.write64(op["pa"], op["val"])

    def _fill(self, op: dict[str, Any]) -> None:
        first = op["seed"] * 512
        words = (mix(first + i & _MASK64).to_bytes(8, "little") for i in range(512))
        self.memory.write(op["pa"], b"".join(words))

    def _r64(self, op: dict[str, Any]) -> None:
        pa = op["pa"]
        try:
            ours: int | str = int.from_bytes(self.memory.host_read(pa, 8), "little")
        except HostFault:
            ours = "gpf"
        name = None
        if isinstance(ours, int) and isinstance(op["out"], int) and ours != op["out"]:
            name = self._explain_field(op.get("field"), ours, op["out"])
        if name is None:
            self._compare("read", ours, op["out"], f"{op.get('field', 'word')} at {pa:#x}")
        else:
            tally = self.report.tally("read")
            tally.calls += 1
            tally.deviate(name)

    def _explain_field(self, field: str | None, ours: int, theirs: int) -> str | None:
        """The name of a difference in the exit record that the specification settles against the reference."""
        last = self.entered.last if self.entered is not None else None
        if field == "exit.hpfar" and theirs & ~0xF == ours:
            return "page_abort_hpfar_low_bits"
        if last is not None and not last.emulatable and ipa_of(last.hpfar) >= self.entered_par_end:
            if field == "exit.far" and (ours, theirs) == (0, last.far & 0xFFF):
                return "non_emulatable_abort_shows_far"
            if field == "exit.esr" and (ours, theirs) == (last.esr & NON_EMULATABLE_MASK, last.esr & EMULATABLE_MASK):
                return "non_emulatable_abort_shows_wnr"
        return None

    # Observations

    def _rim(self, op: dict[str, Any]) -> None:
        realm = self.rmm.realm_at.get(op["rd"])
        ours = None if realm is None else (realm.hash_algo, realm.state, realm.rec_count, realm.rim.hex())
        theirs = None
        if op["out"] is not None:
            algorithm = HashAlgorithm.SHA_256 if op["alg"] == "sha256" else HashAlgorithm.SHA_512
            theirs = (algorithm, op["state"], op["recs"], op["out"])
        self._compare("rim", ours, theirs, f"realm {op['rd']:#x}")

    def _refs(self, pa: int, state: int, refs: int) -> int:
        if state == GranuleState.RD:
            return len(self.rmm.realm_at[pa].recs)
        return refs

    def _gsum(self, op: dict[str, Any]) -> None:
        ours = {f"{pa:x}": [_STATES[state], self._refs(pa, state, refs)] for pa, state, refs in self.rmm.granules}
        theirs = op["out"]
        wrong = [pa for pa in sorted(ours.keys() | theirs.keys()) if ours.get(pa) != theirs.get(pa)]
        shown = ", ".join(f"{pa}: {ours.get(pa)} / {theirs.get(pa)}" for pa in wrong[:8])
        self._compare("granules", shown, "", "granules (ours / reference)")

    # Calls

    def _realm(self, op: dict[str, Any]) -> None:
        self.queue.append(_act(op))

    def _smc(self, op: dict[str, Any]) -> None:
        command = op["name"]
        tally = self.report.tally("RMI_" + command)
        tally.calls += 1
        x = (op["fid"], *op["args"])
        rec = self._script(command, x)
        before = len(rec.entries) if rec is not None else 0
        ours = self.rmm.rmi(x)
        theirs = op["out"] if op["out"] is not None else op.get("out_release")
        condition = self.conditions.last
        if theirs is None:
            tally.deviate("reference_crashes")
        elif list(ours) != theirs:
            name = self._explain(command, condition, x, ours, theirs)
            if name is None:
                self._differ(
                    tally, f"{command}{_hex(op['args'])} = {_hex(ours)} [{condition}], reference {_hex(theirs)}"
                )
            else:
                tally.deviate(name)
                self._follow(condition, x, theirs)
        elif op["out"] is None:
            tally.deviate("reference_debug_build_crashes")
        else:
            tally.agreed += 1
        if "ent" in op:
            entries = [] if rec is None else [list(entry) for entry in rec.entries[before:]]
            self._compare("entry", entries, op["ent"], f"registers on entry to REC {x[1]:#x}")
        self.queue.clear()

    def _script(self, command: str, x: Sequence[int]) -> ScriptedRec | None:
        """Hands the queued acts to the REC that the call enters."""
        if command != _REC_ENTER:
            return None
        rec: Rec | None = self.rmm.rec_at.get(x[1])
        if rec is None:
            return None
        self.entered, self.entered_par_end = rec, rec.realm.par_end
        context = rec.context
        assert isinstance(context, ScriptedRec)
        context.script.clear()
        context.script.extend(self.queue)
        return context

    def _explain(
        self, command: str, condition: str | None, x: Sequence[int], ours: Sequence[int], theirs: Sequence[int]
    ) -> str | None:
        """The name of a difference that the specification settles against the reference, or None."""
        status = theirs[0] & 0xFF
        for named_command, named_condition, statuses, name in _NAMED:
            if (named_command, named_condition) == (command, condition):
                return name if ours[0] == RmiStatus.ERROR_INPUT and status in statuses else None
        if command == "RTT_READ_ENTRY" and ours[2] == _ASSIGNED and ours[4] == _DESTROYED:
            return "read_entry_destroyed_desc_zero" if [*ours[:3], 0, ours[4]] == list(theirs) else None
        if command == "RTT_SET_RIPAS" and (ours[0], status) == (_SUCCESS, _RTT):
            level = theirs[0] >> 8
            return "set_ripas_unaligned_base_unchanged" if x[3] % entry_size(level) else None
        return None

    def _follow(self, condition: str | None, x: Sequence[int], theirs: Sequence[int]) -> None:
        """Goes on from where the reference went."""
        if condition is None:
            if x[0] & 0xFFFF_FFFF == SET_RIPAS.fid:
                self.rmm.rec_at[x[2]].ripas_addr = x[3]
        elif theirs[0] == _SUCCESS:
            decl, checks, effect = next(handler for handler in HANDLERS if handler[0].fid == x[0] & 0xFFFF_FFFF)
            rest = [c for c in decl.conditions if c.name != condition]
            bind_rmi(self.rmm, decl.with_conditions(rest), checks, effect)(x)


def _hex(values: Sequence[int]) -> str:
    return "(" + ", ".join(f"{value:#x}" for value in values) + ")"


def _sequences(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, sequence) of each line; CorpusError where a line is none."""
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        number = 0
        while True:
            number += 1
            where = f"{path.name}:{number}"
            try:
                line = lines.readline()
            except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError) as error:
                raise CorpusError(f"{where}: cannot be read: {error}") from error
            if not line:
                return
            if not line.strip():
                continue
            try:
                sequence = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise CorpusError(f"{where}: not JSON: {error}") from error
            if not isinstance(sequence, dict) or not isinstance(sequence.get("ops"), list):
                raise CorpusError(f"{where}: not a sequence: no list `ops`")
            yield where, sequence


def replay(
    paths: Iterable[str | Path],
    progress: Callable[[int], object] | None = None,
    *,
    choose: Callable[[int], bool] | None = None,
) -> Report:
    """Replays every sequence of every file.

    progress: told the number of sequences done, after each.  choose: which sequences of the files to replay, by their
    number from 0 (for a sample); every one by default.  CorpusError for a file that is not in the format.
    """
    report = Report()
    number = -1
    for path in paths:
        for where, sequence in _sequences(Path(path)):
            number += 1
            if choose is not None and not choose(number):
                continue
            seed = sequence.get("seed")
            try:
                _Replay(sequence, f"{where} (seed {seed})", report).run(sequence["ops"])
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise CorpusError(f"{where} (seed {seed}): malformed operation: {error!r}") from error
            report.sequences += 1
            if progress is not None:
                progress(report.sequences)
    return report
