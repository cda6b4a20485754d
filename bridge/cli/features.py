# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge features`: what a machine's RMM offers to those who make realms."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

HELP = "print the RMI feature register of a machine, decoded: what its realms can be made with"

# What a field of RmiFeatureRegister0 says (DEN0137, RmiFeatureRegister0; rmm-abi.md §2.6).
_MEANING: Mapping[str, Callable[[int], str]] = {
    "S2SZ": lambda v: f"IPA width of a realm: 32 to {v} bits",
    "LPA2": lambda v: "52-bit addresses" if v else "no 52-bit addresses",
    "SVE_EN": lambda v: "SVE" if v else "no SVE",
    "SVE_VL": lambda v: f"longest SVE vector, where there is SVE: {128 * (v + 1)} bits",
    "NUM_BPS": lambda v: f"breakpoints: 2 to {v + 1}",
    "NUM_WPS": lambda v: f"watchpoints: 2 to {v + 1}",
    "PMU_EN": lambda v: "PMU" if v else "no PMU",
    "PMU_NUM_CTRS": lambda v: f"PMU event counters, where there is a PMU: up to {v}",
    "HASH_SHA_256": lambda v: "measurements by SHA-256" if v else "no measurements by SHA-256",
    "HASH_SHA_512": lambda v: "measurements by SHA-512" if v else "no measurements by SHA-512",
    "GICV3_NUM_LRS": lambda v: f"GICv3 list registers: {v + 1}",
    "MAX_RECS_ORDER": lambda v: f"RECs of a realm: up to {(1 << v) - 1}",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from bridge.cli.realm import MACHINE

    parser.add_argument(
        "machine", nargs="?", default=MACHINE, metavar="FILE|NAME", help=f"machine file or shipped name; {MACHINE}"
    )
    parser.add_argument(
        "-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the machine file"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(args: argparse.Namespace) -> int:
    from machine.config.loader import load
    from machine.machine import rmm_features
    from rmm.abi.bits import FEATURE_REGISTER_0

    register = rmm_features(load(args.machine, args.set)).encode()
    fields = FEATURE_REGISTER_0.decode(register)
    if args.json:
        import json

        print(json.dumps({"machine": args.machine, "register": register, "fields": fields}))
        return 0
    print(f"{FEATURE_REGISTER_0.name} = {register:#x}")
    for field in FEATURE_REGISTER_0.fields:
        bits = f"[{field.hi}:{field.lo}]" if field.hi != field.lo else f"[{field.lo}]"
        value = fields[field.name]
        print(f"  {bits:<8} {field.name:<15} {value:<4} {_MEANING[field.name](value)}")
    return 0
