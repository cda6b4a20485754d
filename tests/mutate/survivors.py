# SPDX-License-Identifier: GPL-2.0-or-later
"""Mutants that nobody can tell from the original: (call, mutant) to the reason why."""

from __future__ import annotations

SURVIVORS: dict[tuple[str, str], str] = {
    ("RMI_REALM_CREATE", "swap pmu_num_ctrs_supp pmu_num_ctrs_zero"): "no number is both 0 and above the maximum",
    ("RMI_REALM_CREATE", "swap vmid_bound vmid_used"): "a VMID that is used was within bounds",
    ("RMI_REC_CREATE", "swap rec_state rec_alias"): "every auxiliary granule is DELEGATED by then, hence rec too",
    ("RMI_REC_ENTER", "swap realm_new system_off"): "a realm has one state",
    ("RMI_REC_ENTER", "swap inject_sea emul_mmio"): "emul_mmio needs INJECT_SEA to be clear",
    ("RMI_REC_ENTER", "swap emul_mmio run_gpt_exit"): "a late condition is met after all others, wherever it stands",
    ("RMI_RTT_DESTROY", "swap rtte_state rtt_live"): "only a TABLE can be live",
    ("RMI_PSCI_COMPLETE", "swap target_align alias"): "an unaligned target that is the caller was an unaligned caller",
    ("RMI_PSCI_COMPLETE", "swap status denied_on"): "a late condition is met after all others, wherever it stands",
    ("RSI_ATTESTATION_TOKEN_CONTINUE", "swap token_size token_rest"): "a late condition is met after all others",
    ("PSCI_CPU_ON", "swap target_bound target_self"): "the caller exists",
}
