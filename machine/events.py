# SPDX-License-Identifier: GPL-2.0-or-later
"""Every event of a trace, declared once: its name, its typed fields.  Those of calls derive from the calls.

Selection, filters, file formats and docs/trace.md work on these declarations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from bridge.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from rmm.abi.call import Call

NORMAL, SECURE, REALM, ROOT = "normal", "secure", "realm", "root"
WORLDS = (NORMAL, SECURE, REALM, ROOT)


class Field(NamedTuple):
    """One value of an event.  kind: "number", "hex", "name" (of a closed set), "flag" or "text"."""

    name: str
    kind: str
    doc: str


class Event(NamedTuple):
    """One kind of event.

    cores: it is seen only by looking at each exit of each core, which costs time; calls and the RMM's are told.
    decl: of a call; its inputs and outputs are fields too.
    """

    name: str
    fields: tuple[Field, ...]
    doc: str
    cores: bool = False
    decl: Call | None = None


COMMON = (
    Field("event", "name", "the event's name"),
    Field("insns", "number", "instructions that the machine had retired"),
    Field("time", "number", "virtual time, ns"),
    Field("world", "name", f"whose code caused it: {', '.join(WORLDS)}"),
    Field("pe", "number", "index of the PE"),
    Field("rec", "number", "index of the REC within its realm"),
    Field("realm", "hex", "PA of the realm's RD"),
    Field("pc", "hex", "virtual address of the instruction (`--trace-with pc`)"),
    Field("symbol", "text", "the same by name, where a loaded ELF has one"),
    Field("text", "text", "what else there is to say"),
)
OF_CALLS = (
    Field("status", "name", "the result's status: `SUCCESS`, `ERROR_RTT`, ...; none where X0 is a bare value"),
    Field("index", "number", "bits [15:8] of an RMI result, where no input or output has that name"),
    Field("x0", "hex", "X0 of the result; none where the call made its REC exit"),
    Field("condition", "name", "the condition that failed"),
    Field("duration", "number", "ns of virtual time from the call to its result"),
)

_PA = Field("pa", "hex", "physical address")
_EL = Field("el", "number", "exception level")
_SIZE = Field("size", "number", "bytes")
_WRITE = Field("write", "flag", "1 for a write")
_OLD = Field("old", "name", "state before")
_NEW = Field("new", "name", "state after")
_ESR = Field("esr", "hex", "syndrome")
_FAR = Field("far", "hex", "faulting virtual address")
_IPA = Field("ipa", "hex", "intermediate physical address")
_VALUE = Field("value", "hex", "what was read or written")
_REC = Field("rec_pa", "hex", "PA of the REC")
_COUNT = Field("count", "number", "how many")

OWN = (
    Event("rec_enter", (_REC,), "a REC begins to run on behalf of RMI_REC_ENTER"),
    Event("rec_exit", (_REC, Field("reason", "name", "RmiRecExitReason")), "a REC exits to the host"),
    Event(
        "world_switch",
        (Field("old", "name", "the world that is left"), Field("new", "name", "the world that runs now")),
        "a PE runs another world's code",
    ),
    Event("granule", (_PA, _OLD, _NEW), "a granule changes its state in the RMM"),
    Event("gpt", (_PA, _OLD, _NEW), "a granule's entry in the granule protection table changes"),
    Event(
        "gpf",
        (_PA, Field("gpi", "name", "whose the granule is"), Field("va", "hex", "virtual address"), _EL),
        "a granule protection fault",
        cores=True,
    ),
    Event(
        "s2_fault",
        (_IPA, _ESR, _FAR, Field("access", "name", "read, write or fetch"), _EL),
        "a stage-2 fault of a realm, on its way to the RMM",
        cores=True,
    ),
    Event("exception", (_EL, _ESR, _FAR), "a synchronous exception was taken to EL1 or EL2", cores=True),
    Event(
        "interrupt",
        (_EL, Field("kind", "name", "IRQ, FIQ or SERROR")),
        "an interrupt was taken to EL1 or EL2",
        cores=True,
    ),
    Event("mmio", (_PA, _SIZE, _WRITE, _VALUE), "an access to a device of the machine", cores=True),
    Event("vmm_mmio", (_IPA, _SIZE, _WRITE, _VALUE), "a realm's access to a device of the VMM"),
    Event(
        "unclaimed",
        (_PA, _SIZE, _WRITE),
        "the first access to each page where the board has nothing; it meets an external abort",
        cores=True,
    ),
    Event(
        "sysreg",
        (
            Field("register", "name", "the register's name"),
            _WRITE,
            Field("undefined", "flag", "1: it is not there, and the access is UNDEFINED; 0: it traps to the RMM"),
            _EL,
        ),
        "an access to a system register that traps, or is not there",
        cores=True,
    ),
    Event("lost", (_COUNT,), "more events between two exits than are kept: the rest is not in the trace", cores=True),
    Event("smc_unknown", (), "an SMC with a function id that nothing declares"),
    Event("secure_enter", (), "the Secure world's service begins to run"),
    Event("secure_leave", (), "the service leaves the PE to the Normal world"),
    Event("semihosting", (), "a semihosting operation that is not supported"),
    Event("console", (Field("label", "text", "the console's"),), "a console has printed a line"),
    Event("reset", (), "the machine is reset"),
    Event("virtio", (), "what a virtio device or its driver does against the rules"),
    Event("vmm_abort", (_IPA,), "the VMM has no answer to a realm's access, and injects an external abort"),
)


def event_name(decl: Call | None) -> str:
    """`rmi_rtt_create`; the calls of the RMM to EL3 are `el3_…`."""
    if decl is None:
        return "smc_unknown"
    name = decl.name.lower()
    return "el3_" + name.removeprefix("rmm_").removeprefix("el3_") if decl.interface == "RMM" else name


@cache
def calls() -> Mapping[str, Call]:
    """Every declared call by the name of its event."""
    from machine.ffa import abi as ffa
    from machine.ffa import sip
    from rmm.abi import calls_by_fid

    table: dict[str, Call] = {}
    for decl in (*calls_by_fid().values(), *ffa.CALLS, *sip.CALLS):
        table.setdefault(event_name(decl), decl)
    return table


@cache
def events() -> Mapping[str, Event]:
    """Every event by name, calls first."""
    table = {name: Event(name, _call_fields(decl), decl.doc, decl=decl) for name, decl in calls().items()}
    table.update((event.name, event) for event in OWN)
    return table


def _call_fields(decl: Call) -> tuple[Field, ...]:
    kinds = {"number": "number", "enum": "name"}
    return tuple(
        Field(value.name, "hex" if value.count > 1 else kinds.get(value.type.kind, "hex"), value.doc or value.type.name)
        for value in (*decl.inputs, *decl.outputs)
    )


@cache
def fields() -> Mapping[str, Field]:
    """Every field that a filter may name."""
    table: dict[str, Field] = {}
    for event in events().values():
        for field in event.fields:
            table.setdefault(field.name, field)
            table.setdefault(f"arg.{field.name}", field)
    for field in (*COMMON, *OF_CALLS):
        table[field.name] = field
    return table


@cache
def constants() -> frozenset[str]:
    """Names that a filter may compare with: of statuses, states, reasons, conditions."""
    from machine.ffa import abi as ffa
    from rmm.abi import values

    names: set[str] = {"IRQ", "FIQ", "SERROR"}
    for module in (values, ffa):
        for group in vars(module).values():
            if isinstance(group, type) and issubclass(group, values.Values):
                names.update(values.members(group))
    for decl in calls().values():
        names.update(decl.by_condition)
    return frozenset(names)


def select(globs: Sequence[str]) -> frozenset[str]:
    """The names of the events that match one of the globs, in either case; UserError for a glob that matches none."""
    chosen: set[str] = set()
    for glob in globs:
        wanted = glob.strip().lower()
        found = [name for name in events() if fnmatchcase(name, wanted)]
        if not found:
            hint = did_you_mean(wanted, list(events()))
            raise UserError(f"--trace {glob[:100]}: no event matches{hint}; docs/trace.md lists them")
        chosen.update(found)
    return frozenset(chosen)


def needs_cores(names: Iterable[str]) -> bool:
    """Whether one of these events is seen only by looking at each exit of each core."""
    return any(events()[name].cores for name in names)
