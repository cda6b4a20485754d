# SPDX-License-Identifier: GPL-2.0-or-later
"""What an RMM offers to its hosts, as parameters (rmm-abi.md §2.6)."""

from __future__ import annotations

from rmm.abi.bits import FEATURE_REGISTER_0

MAX_AUX = 16


class Features:
    """RmiFeatureRegister0 and the limits behind it.

    s2sz: widest IPA space in bits.  sve_vl: longest vector / 128 - 1.  num_bps, num_wps: minus 1, as the register
    has them.  gicv3_num_lrs: list registers minus 1.  max_recs_order: a realm has at most 2^order - 1 RECs.
    hpmn0: FEAT_HPMN0, a PMU with no counters is legal.  gic_priority_bits: implemented bits of a list register's
    priority.  gic_id_bits: 16 or 24, the width of an LPI's number.  gic_ext_range: extended PPIs and SPIs.
    """

    __slots__ = (
        "gic_ext_range",
        "gic_id_bits",
        "gic_priority_bits",
        "gicv3_num_lrs",
        "hash_sha256",
        "hash_sha512",
        "hpmn0",
        "lpa2",
        "max_recs_order",
        "num_bps",
        "num_wps",
        "pa_width",
        "pmu",
        "pmu_num_ctrs",
        "rec_aux_count",
        "s2sz",
        "sve",
        "sve_vl",
        "vmid_bits",
    )

    def __init__(
        self,
        *,
        s2sz: int = 48,
        lpa2: bool = False,
        sve: bool = False,
        sve_vl: int = 0,
        num_bps: int = 1,
        num_wps: int = 1,
        pmu: bool = False,
        pmu_num_ctrs: int = 0,
        hash_sha256: bool = True,
        hash_sha512: bool = True,
        gicv3_num_lrs: int = 3,
        max_recs_order: int = 10,
        vmid_bits: int = 16,
        pa_width: int = 48,
        rec_aux_count: int = MAX_AUX,
        hpmn0: bool = False,
        gic_priority_bits: int = 5,
        gic_id_bits: int = 16,
        gic_ext_range: bool = False,
    ) -> None:
        self.s2sz = s2sz
        self.lpa2 = lpa2
        self.sve = sve
        self.sve_vl = sve_vl
        self.num_bps = num_bps
        self.num_wps = num_wps
        self.pmu = pmu
        self.pmu_num_ctrs = pmu_num_ctrs
        self.hash_sha256 = hash_sha256
        self.hash_sha512 = hash_sha512
        self.gicv3_num_lrs = gicv3_num_lrs
        self.max_recs_order = max_recs_order
        self.vmid_bits = vmid_bits
        self.pa_width = pa_width
        self.rec_aux_count = rec_aux_count
        self.hpmn0 = hpmn0
        self.gic_priority_bits = gic_priority_bits
        self.gic_id_bits = gic_id_bits
        self.gic_ext_range = gic_ext_range
        self.encode()
        if not 0 <= rec_aux_count <= MAX_AUX:
            raise ValueError(f"rec_aux_count {rec_aux_count} is not in 0..{MAX_AUX}")
        if s2sz > (52 if lpa2 else 48):
            raise ValueError(f"s2sz {s2sz} needs LPA2")

    def encode(self) -> int:
        """RmiFeatureRegister0; ValueError when a value does not fit its field."""
        return FEATURE_REGISTER_0.encode(
            S2SZ=self.s2sz,
            LPA2=int(self.lpa2),
            SVE_EN=int(self.sve),
            SVE_VL=self.sve_vl if self.sve else 0,
            NUM_BPS=self.num_bps,
            NUM_WPS=self.num_wps,
            PMU_EN=int(self.pmu),
            PMU_NUM_CTRS=self.pmu_num_ctrs if self.pmu else 0,
            HASH_SHA_256=int(self.hash_sha256),
            HASH_SHA_512=int(self.hash_sha512),
            GICV3_NUM_LRS=self.gicv3_num_lrs,
            MAX_RECS_ORDER=self.max_recs_order,
        )

    @classmethod
    def decode(
        cls, register: int, *, vmid_bits: int = 16, pa_width: int = 48, rec_aux_count: int = MAX_AUX
    ) -> Features:
        """The features that a register value stands for; what it does not tell is given."""
        field = FEATURE_REGISTER_0.decode(register)
        return cls(
            s2sz=field["S2SZ"],
            lpa2=bool(field["LPA2"]),
            sve=bool(field["SVE_EN"]),
            sve_vl=field["SVE_VL"],
            num_bps=field["NUM_BPS"],
            num_wps=field["NUM_WPS"],
            pmu=bool(field["PMU_EN"]),
            pmu_num_ctrs=field["PMU_NUM_CTRS"],
            hash_sha256=bool(field["HASH_SHA_256"]),
            hash_sha512=bool(field["HASH_SHA_512"]),
            gicv3_num_lrs=field["GICV3_NUM_LRS"],
            max_recs_order=field["MAX_RECS_ORDER"],
            vmid_bits=vmid_bits,
            pa_width=pa_width,
            rec_aux_count=rec_aux_count,
        )

    def __str__(self) -> str:
        return FEATURE_REGISTER_0.text(self.encode())
