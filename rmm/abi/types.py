# SPDX-License-Identifier: GPL-2.0-or-later
"""Types of call inputs and outputs: how a register is decoded, printed, declared in C and fuzzed."""

from __future__ import annotations

from rmm.abi import bits, values
from rmm.abi.bits import Register
from rmm.abi.values import Values

MASK64 = (1 << 64) - 1


class Type:
    """What a 64-bit register holds.

    kind: "address" (printed in hex), "number" (decimal), "hex" (a bare word), "enum", "flags" or "revision".
    role: what a generator of plausible values should pick from: "pa", "ipa", "rd", "rec", "level", ...
    """

    __slots__ = ("kind", "name", "register", "role", "signed", "values")

    def __init__(
        self,
        name: str,
        kind: str,
        *,
        role: str = "",
        signed: bool = False,
        values: type[Values] | None = None,
        register: Register | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.role = role or name.lower()
        self.signed = signed
        self.values = values
        self.register = register

    @property
    def c(self) -> str:
        """The C type of a register of this type."""
        return "int64_t" if self.signed else "uint64_t"

    def decode(self, word: int) -> int:
        """The register's value as a number of this type."""
        return word - (1 << 64) if self.signed and word >> 63 else word

    def encode(self, value: int) -> int:
        """The 64-bit register that holds `value`."""
        return value & MASK64


PA = Type("PA", "address")
NS_PA = Type("PA (Non-secure)", "address", role="ns")
IPA = Type("IPA", "address")
RD = Type("PA of an RD", "address", role="rd")
REC = Type("PA of a REC", "address", role="rec")
DELEGATED = Type("PA of a delegated granule", "address", role="delegated")
RTT = Type("PA of an RTT", "address", role="rtt")
LEVEL = Type("RTT level", "number", role="level", signed=True)
U64 = Type("u64", "hex")
SIZE = Type("size", "number")
INDEX = Type("index", "number")
COUNT = Type("count", "number")
REVISION = Type("revision", "revision")
MPIDR = Type("MPIDR", "hex")
DESC = Type("RTT descriptor", "hex", role="desc", register=bits.UNPROTECTED_DESC)
FEATURES0 = Type("feature register", "hex", register=bits.FEATURE_REGISTER_0)
FID = Type("function id", "hex", role="fid")
PSCI_STATUS = Type("PSCI status", "enum", signed=True, values=values.PsciStatus)
DATA_FLAGS = Type("RmiDataFlags", "enum", values=values.DataMeasure)
HIPAS = Type("RmiRttEntryState", "enum", values=values.Hipas)
RIPAS = Type("RIPAS", "enum", values=values.Ripas)
RIPAS_FLAGS = Type("RsiRipasChangeFlags", "enum", values=values.RipasChangeFlags)
RESPONSE = Type("RsiResponse", "enum", values=values.Response)
AFFINITY = Type("affinity state", "enum", values=values.AffinityState)
