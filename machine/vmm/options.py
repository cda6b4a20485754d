# SPDX-License-Identifier: GPL-2.0-or-later
"""What a realm can be made with, checked against what the RMM offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from machine.vmm.errors import OPTION, UNSUPPORTED, VmmError
from rmm.features import Features

GRANULE = 4096
HASHES = ("sha256", "sha512")


@dataclass(frozen=True, slots=True)
class RealmOptions:
    """memory: bytes of RAM.  ram_base: its IPA.  ipa_bits: IPA width, 0 for the least that holds RAM and its alias.

    sve_bits: vector length, 0 for none.  pmu_counters: None for no PMU.  rpv: at most 64 bytes.
    """

    memory: int = 0
    ram_base: int = 0x8000_0000
    ipa_bits: int = 0
    hash: str = "sha256"
    rpv: bytes = b""
    sve_bits: int = 0
    pmu_counters: int | None = None
    breakpoints: int = 2
    watchpoints: int = 2

    @property
    def width(self) -> int:
        """The IPA width in bits: the protected half holds all of RAM."""
        return self.ipa_bits or max(32, (self.ram_base + self.memory - 1).bit_length() + 1)

    @property
    def shared_bit(self) -> int:
        return 1 << (self.width - 1)


def _refuse(name: str, value: object, offered: str) -> VmmError:
    return VmmError("configure", UNSUPPORTED, f"{name}={value}: the RMM offers {offered}")


def _memory(options: RealmOptions, features: Features) -> None:
    if options.memory <= 0 or options.memory % GRANULE:
        raise VmmError("configure", OPTION, f"memory={options.memory:#x}: expected a multiple of 4K, more than 0")


def _ram(options: RealmOptions, features: Features) -> None:
    if options.ram_base % GRANULE or options.ram_base < 0:
        raise VmmError("configure", OPTION, f"ram_base={options.ram_base:#x}: expected a multiple of 4K")


def _width(options: RealmOptions, features: Features) -> None:
    bits = options.width
    if options.ipa_bits and options.memory and options.ram_base + options.memory > options.shared_bit:
        raise VmmError("configure", OPTION, f"ipa_bits={bits}: RAM does not fit into its protected half")
    if not 32 <= bits <= features.s2sz:
        raise _refuse("ipa_bits", bits, f"32 to {features.s2sz}")


def _hash(options: RealmOptions, features: Features) -> None:
    offered = [name for name, on in zip(HASHES, (features.hash_sha256, features.hash_sha512), strict=True) if on]
    if options.hash not in offered:
        raise _refuse("hash", options.hash, ", ".join(offered))


def _rpv(options: RealmOptions, features: Features) -> None:
    if len(options.rpv) > 64:
        raise VmmError("configure", OPTION, f"rpv: {len(options.rpv)} bytes, a personalization value has at most 64")


def _sve(options: RealmOptions, features: Features) -> None:
    bits = options.sve_bits
    if bits == 0:
        return
    if bits % 128 or not 128 <= bits <= 2048:
        raise VmmError("configure", OPTION, f"sve_bits={bits}: expected a multiple of 128 up to 2048")
    if not features.sve:
        raise _refuse("sve_bits", bits, "no SVE")
    if bits > 128 * (features.sve_vl + 1):
        raise _refuse("sve_bits", bits, f"vectors of up to {128 * (features.sve_vl + 1)} bits")


def _pmu(options: RealmOptions, features: Features) -> None:
    if options.pmu_counters is None:
        return
    if not features.pmu:
        raise _refuse("pmu_counters", options.pmu_counters, "no PMU")
    if not 0 <= options.pmu_counters <= features.pmu_num_ctrs:
        raise _refuse("pmu_counters", options.pmu_counters, f"up to {features.pmu_num_ctrs}")


def _breakpoints(options: RealmOptions, features: Features) -> None:
    for name, least in (("breakpoints", features.num_bps), ("watchpoints", features.num_wps)):
        value = getattr(options, name)
        if not 2 <= value <= least + 1:
            raise _refuse(name, value, f"2 to {least + 1}")


_CHECKS: Mapping[str, Callable[[RealmOptions, Features], None]] = {
    "memory": _memory,
    "ram_base": _ram,
    "ipa_bits": _width,
    "hash": _hash,
    "rpv": _rpv,
    "sve_bits": _sve,
    "pmu_counters": _pmu,
    "breakpoints": _breakpoints,
    "watchpoints": _breakpoints,
}


def configured(options: RealmOptions, changes: Mapping[str, Any], features: Features) -> RealmOptions:
    """`options` with `changes`; VmmError that names option, value and what is offered."""
    unknown = [name for name in changes if name not in _CHECKS]
    if unknown:
        raise VmmError("configure", OPTION, f"there is no option {unknown[0]}; there are {', '.join(_CHECKS)}")
    changed = replace(options, **changes)
    for name in changes:
        _CHECKS[name](changed, features)
    return changed


def complete(options: RealmOptions, features: Features) -> None:
    """All of it once more, for what depends on two options."""
    for check in dict.fromkeys(_CHECKS.values()):
        check(options, features)
