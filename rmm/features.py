# SPDX-License-Identifier: GPL-2.0-or-later
"""RMM features: RmiFeatureRegister0 and the limits behind it (rmm-abi.md §2.6)."""

from __future__ import annotations

from rmm.abi.bits import FEATURE_REGISTER_0


class Features:
    def __init__(self, *, s2sz: int = 48, lpa2: bool = False, sve: bool = False, sve_vl: int = 0, num_bps: int = 1,
                 num_wps: int = 1, pmu: bool = False, pmu_num_ctrs: int = 0, hash_sha256: bool = True,
                 hash_sha512: bool = True, gicv3_num_lrs: int = 3, max_recs_order: int = 10, vmid_bits: int = 16,
                 pa_width: int = 48, rec_aux_count: int = 16) -> None:
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

    def encode(self) -> int:
        return FEATURE_REGISTER_0.encode(
            S2SZ=self.s2sz, LPA2=self.lpa2, SVE_EN=self.sve, SVE_VL=self.sve_vl, NUM_BPS=self.num_bps,
            NUM_WPS=self.num_wps, PMU_EN=self.pmu, PMU_NUM_CTRS=self.pmu_num_ctrs, HASH_SHA_256=self.hash_sha256,
            HASH_SHA_512=self.hash_sha512, GICV3_NUM_LRS=self.gicv3_num_lrs, MAX_RECS_ORDER=self.max_recs_order)
