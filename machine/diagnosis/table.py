# SPDX-License-Identifier: GPL-2.0-or-later
"""All diagnoses, the most particular first: the line is of the first one that fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from machine.diagnosis import calls, faults, waits
from machine.diagnosis.case import Case

Fields = dict[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A diagnosis.  looks_at: the state and calls that it is made from.  text: with the fields that `find` returns.

    about_recs: it is about a REC's own state, which goes when the REC is destroyed.
    """

    name: str
    looks_at: str
    text: str
    find: Callable[[Case], Fields | None]
    about_recs: bool = False


TABLE = (
    Entry(
        "missing-psci-complete",
        "a REC's pending PSCI request, and the last RMI_REC_ENTER, refused for it [rec_psci]",
        "{rec} waits for RMI_PSCI_COMPLETE of its {call} (target REC {target}): the host never made it, and each "
        "RMI_REC_ENTER is refused",
        calls.missing_psci_complete,
    ),
    Entry(
        "wrong-mpidr-order",
        "the last RMI_REC_CREATE [mpidr_index], and the parameters that it was given",
        "RMI_REC_CREATE gives MPIDR {mpidr}, which is REC {index}'s, and the next one of realm {rd} is REC {next}: "
        "RECs are created in the order of their MPIDR",
        calls.wrong_mpidr_order,
    ),
    Entry(
        "dirty-aux-granule",
        "the last RMI_REC_CREATE [aux_state], and the states of its auxiliary granules",
        "RMI_REC_CREATE gives auxiliary granule {aux}, which is {state} and not DELEGATED",
        calls.dirty_aux,
    ),
    Entry(
        "bad-level",
        "the last use of an RMI command of a level [level_bound, level_start], and the realm's start level",
        "{call}(ipa={ipa}, level={level}) can never succeed: the tables of realm {rd} start at level {start}, so that "
        "the command takes {levels}",
        calls.bad_level,
    ),
    Entry(
        "missing-rtt",
        "the last use of an RMI command [rtt_walk], and where the walk for its IPA stops now",
        "{call} at IPA {ipa} needs a table of level {needed}, and the walk stops at level {stop}: the host never "
        "called RMI_RTT_CREATE(level={next}) for it",
        calls.missing_rtt,
    ),
    Entry(
        "ns-access-to-delegated-granule",
        "ESR and FAR of the Normal world's last exception, the tables on the way, the GPT",
        "{who} at {pc} {verb} PA {pa}, which it has delegated ({state}): RMI_GRANULE_UNDELEGATE was never "
        "called for it",
        faults.ns_access,
    ),
    Entry(
        "mmio-at-protected-ipa",
        "a REC's last stage-2 fault, the RTT entry there, the devices that its host has",
        "{rec} {how} at IPA {ipa} ({pc}), the {device} in the protected half, RIPAS EMPTY: devices are at the "
        "unprotected alias, IPA {alias}",
        faults.mmio_at_protected,
        about_recs=True,
    ),
    Entry(
        "wrong-ripas",
        "a REC's last stage-2 fault, the RTT entry there, its RSI_IPA_STATE_SET calls",
        "{rec} {how} at IPA {ipa} ({pc}), RIPAS {ripas}: {why}",
        faults.wrong_ripas,
        about_recs=True,
    ),
    Entry(
        "missing-data",
        "a REC's last stage-2 fault, and the RTT entry there",
        "{rec} {how} at IPA {ipa} ({pc}), RIPAS RAM and UNASSIGNED: the host never called RMI_DATA_CREATE_UNKNOWN "
        "for it",
        faults.missing_data,
        about_recs=True,
    ),
    Entry(
        "unmapped-shared-page",
        "a REC's last stage-2 fault, and the RTT entry there",
        "{rec} {how} at IPA {ipa} ({pc}), unprotected and UNASSIGNED_NS: the host neither called "
        "RMI_RTT_MAP_UNPROTECTED for it nor emulated the access",
        faults.unmapped_shared,
        about_recs=True,
    ),
    Entry(
        "lost-interrupt",
        "the RECs' timers against their list registers, in a run that hangs",
        "{rec} waits at {pc}: its {timer} has fired {ago} ago and asserts INTID {intid}, which the host has put into "
        "no list register",
        waits.lost_interrupt,
    ),
    Entry(
        "refused-for-ever",
        "the last call, refused with the same arguments over and over",
        "{call} has been refused {times} times in a row with nothing changed in between",
        calls.refused_for_ever,
    ),
    Entry(
        "same-exception-for-ever",
        "each core's last synchronous exception, and how often it was taken with no other in between",
        "{who} has taken one exception {times} times in a row at {pc}: {esr} FAR={far}",
        faults.same_exception,
    ),
    Entry(
        "waits-for-nothing",
        "what the contexts that wait by WFI could be woken by: timers, list registers, alarms, input",
        "{who} waits by WFI at {pc}: no timer is armed, no interrupt is pending, and no device or input has one "
        "to come",
        waits.waits_for_nothing,
    ),
    Entry(
        "spins-on-the-spot",
        "the code at the PC, the interrupts that could come, PSTATE",
        "{who} branches to itself at {pc}, {why}",
        waits.spins,
    ),
    Entry(
        "silent-loop",
        "when anything last exited, took an exception or an interrupt",
        "{who} has run for {time} of virtual time with no exit, no console and no interrupt; it is at {pc}",
        waits.silent,
    ),
)
