# SPDX-License-Identifier: GPL-2.0-or-later
"""Structures shared between host, RMM and realm (rmm-abi.md §2)."""

from __future__ import annotations

from rmm.abi.layout import Field, Struct

REALM_PARAMS = Struct(
    "RmiRealmParams",
    "rmi_realm_params",
    0x1000,
    Field("flags", 0x000, "u64", doc="RMI_REALM_FLAG_*"),
    Field("s2sz", 0x008, "u32", doc="IPA width in bits"),
    Field("sve_vl", 0x010, "u32", doc="vector length / 128 - 1"),
    Field("num_bps", 0x018, "u32", doc="breakpoints - 1"),
    Field("num_wps", 0x020, "u32", doc="watchpoints - 1"),
    Field("pmu_num_ctrs", 0x028, "u32", doc="PMU event counters"),
    Field("hash_algo", 0x030, "u8", doc="RMI_HASH_*"),
    Field("rpv", 0x400, "bytes", 64, doc="Realm Personalization Value"),
    Field("vmid", 0x800, "u16"),
    Field("rtt_base", 0x808, "u64", doc="PA of the first starting-level RTT"),
    Field("rtt_level_start", 0x810, "s64"),
    Field("rtt_num_start", 0x818, "u32", doc="concatenated starting-level RTTs"),
    doc="§2.1, host to RMM",
)
REC_PARAMS = Struct(
    "RmiRecParams",
    "rmi_rec_params",
    0x1000,
    Field("flags", 0x000, "u64", doc="RMI_REC_FLAG_*"),
    Field("mpidr", 0x100, "u64", doc="RmiRecMpidr"),
    Field("pc", 0x200, "u64"),
    Field("gprs", 0x300, "u64", 8, doc="X0..X7"),
    Field("num_aux", 0x800, "u64"),
    Field("aux", 0x808, "u64", 16, doc="PAs of auxiliary granules"),
    doc="§2.2, host to RMM",
)
REC_ENTER = Struct(
    "RmiRecEnter",
    "rmi_rec_enter",
    0x800,
    Field("flags", 0x000, "u64", doc="RMI_REC_ENTER_FLAG_*"),
    Field("gprs", 0x200, "u64", 31, doc="X0..X30"),
    Field("gicv3_hcr", 0x300, "u64"),
    Field("gicv3_lrs", 0x308, "u64", 16),
    doc="§2.3, host to RMM",
)
REC_EXIT = Struct(
    "RmiRecExit",
    "rmi_rec_exit",
    0x800,
    Field("exit_reason", 0x000, "u64", doc="RMI_EXIT_*"),
    Field("esr", 0x100, "u64"),
    Field("far", 0x108, "u64"),
    Field("hpfar", 0x110, "u64", doc="IPA >> 8"),
    Field("gprs", 0x200, "u64", 31, doc="X0..X30"),
    Field("gicv3_hcr", 0x300, "u64"),
    Field("gicv3_lrs", 0x308, "u64", 16),
    Field("gicv3_misr", 0x388, "u64"),
    Field("gicv3_vmcr", 0x390, "u64"),
    Field("cntp_ctl", 0x400, "u64"),
    Field("cntp_cval", 0x408, "u64"),
    Field("cntv_ctl", 0x410, "u64"),
    Field("cntv_cval", 0x418, "u64"),
    Field("ripas_base", 0x500, "u64"),
    Field("ripas_top", 0x508, "u64"),
    Field("ripas_value", 0x510, "u8"),
    Field("imm", 0x600, "u32", doc="immediate of a host call"),
    Field("pmu_ovf_status", 0x700, "u64"),
    doc="§2.3, RMM to host",
)
REALM_CONFIG = Struct(
    "RsiRealmConfig",
    "rsi_realm_config",
    0x1000,
    Field("ipa_width", 0x000, "u64", doc="bits"),
    Field("hash_algo", 0x008, "u8", doc="RSI_HASH_*"),
    Field("rpv", 0x200, "bytes", 64, doc="Realm Personalization Value"),
    doc="§2.4, RMM to realm",
)
HOST_CALL = Struct(
    "RsiHostCall",
    "rsi_host_call",
    0x100,
    Field("imm", 0x00, "u32"),
    Field("gprs", 0x08, "u64", 31, doc="X0..X30"),
    doc="§2.5, in realm memory, 256-byte aligned",
)

STRUCTS = (REALM_PARAMS, REC_PARAMS, REC_ENTER, REC_EXIT, REALM_CONFIG, HOST_CALL)
