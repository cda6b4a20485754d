# SPDX-License-Identifier: GPL-2.0-or-later
"""Closed sets of named numbers: statuses, states, reasons (rmm-abi.md §1.5 to §1.8)."""

from __future__ import annotations


class Values:
    """Base of a set of named numbers: each upper-case class attribute is a member."""


def members(values: type[Values]) -> dict[str, int]:
    """{name: number} in the order of declaration."""
    return {name: value for name, value in vars(values).items() if name[0].isupper()}


def name_of(values: type[Values], number: int) -> str | None:
    """The member's name, or None for a number that is not in the set."""
    for name, value in vars(values).items():
        if value == number and name[0].isupper():
            return name
    return None


class RmiStatus(Values):
    """Bits [7:0] of an RMI return code (§1.5)."""

    SUCCESS = 0
    ERROR_INPUT = 1
    ERROR_REALM = 2
    ERROR_REC = 3
    ERROR_RTT = 4


class RmiStatusLater(Values):
    """RMI statuses of later revisions: known by name, never answered (§14)."""

    ERROR_NOT_SUPPORTED = 5
    ERROR_DEVICE = 6
    ERROR_RTT_AUX = 7
    ERROR_PSMMU_ST = 8
    ERROR_DPT = 9
    BUSY = 10
    ERROR_GLOBAL = 11
    ERROR_TRACKING = 12
    INCOMPLETE = 13
    BLOCKED = 14
    ERROR_GPT = 15
    ERROR_GRANULE = 16


class RsiStatus(Values):
    """X0 of an RSI call (§1.6)."""

    SUCCESS = 0
    ERROR_INPUT = 1
    ERROR_STATE = 2
    INCOMPLETE = 3
    ERROR_UNKNOWN = 4


class RsiStatusLater(Values):
    """RSI statuses of later revisions (§14)."""

    ERROR_DEVICE = 5


class PsciStatus(Values):
    """X0 of a PSCI call, as a signed number (§1.7)."""

    SUCCESS = 0
    NOT_SUPPORTED = -1
    INVALID_PARAMETERS = -2
    DENIED = -3
    ALREADY_ON = -4
    ON_PENDING = -5
    INTERNAL_FAILURE = -6
    NOT_PRESENT = -7
    DISABLED = -8
    INVALID_ADDRESS = -9


class El3Status(Values):
    """X0 of an RMM-EL3 call, as a signed number (§13.1)."""

    OK = 0
    UNKNOWN = -1
    BAD_ADDR = -2
    BAD_PAS = -3
    NOMEM = -4
    INVAL = -5
    AGAIN = -6
    FAULT = -7
    IN_PROGRESS = -8


class BootStatus(Values):
    """Argument of RMM_BOOT_COMPLETE, as a signed number (§13.2)."""

    OK = 0
    UNKNOWN = -1
    VERSION_MISMATCH = -2
    CPUS_OUT_OF_RANGE = -3
    CPU_ID_OUT_OF_RANGE = -4
    INVALID_SHARED_BUFFER = -5
    MANIFEST_VERSION = -6
    MANIFEST_DATA = -7


class HashAlgorithm(Values):
    SHA_256 = 0
    SHA_512 = 1


class ExitReason(Values):
    """RmiRecExitReason."""

    SYNC = 0
    IRQ = 1
    FIQ = 2
    PSCI = 3
    RIPAS_CHANGE = 4
    HOST_CALL = 5
    SERROR = 6


class ExitReasonLater(Values):
    """Exit reasons of later revisions (§14)."""

    S2AP_CHANGE = 7
    VDEV_REQUEST = 8
    DEV_MEM_MAP = 9
    VDEV_P2P_BINDING = 10


class Hipas(Values):
    """RmiRttEntryState."""

    UNASSIGNED = 0
    ASSIGNED = 1
    TABLE = 2


class Ripas(Values):
    EMPTY = 0
    RAM = 1
    DESTROYED = 2


class RipasLater(Values):
    """RIPAS values of later revisions: refused in 1.0 (§1.8, §14)."""

    DEV = 3


class DataMeasure(Values):
    """RmiDataFlags."""

    NO_MEASURE_CONTENT = 0
    MEASURE_CONTENT = 1


class Response(Values):
    """RmiResponse, RsiResponse."""

    ACCEPT = 0
    REJECT = 1


class RipasChangeFlags(Values):
    """RsiRipasChangeFlags."""

    NO_CHANGE_DESTROYED = 0
    CHANGE_DESTROYED = 1


class PmuOverflow(Values):
    NOT_ACTIVE = 0
    ACTIVE = 1


class RealmState(Values):
    NEW = 0
    ACTIVE = 1
    SYSTEM_OFF = 2


class GranuleState(Values):
    """State of a granule as the RMM tracks it (§1.8); UNDELEGATED is Non-secure."""

    UNDELEGATED = 0
    DELEGATED = 1
    RD = 2
    REC = 3
    REC_AUX = 4
    DATA = 5
    RTT = 6


class AffinityState(Values):
    """Result of PSCI_AFFINITY_INFO."""

    ON = 0
    OFF = 1
    ON_PENDING = 2
