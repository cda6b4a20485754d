/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The attacker's own memory, and the window, at EL2. */
#include "attacker.h"

void window_init(const struct ccab_host_info *info)
{
    struct stage1 *s1 = window_open(S1_CODE | S1_EL2, s1_flush_el2);
    int ok = s1 != 0;
    for (uint32_t i = 0; i < info->num_banks; i++)
        ok = ok && s1_map(s1, info->bank_base[i], info->bank_base[i], info->bank_size[i], S1_CODE | S1_EL2);
    ok = ok && s1_map(s1, info->console_pa, info->console_pa, GRANULE, S1_MMIO | S1_EL2);
    for (uint32_t i = 0; i < info->num_realms; i++) {
        uint64_t uart = ccab_realm(info, i)->console_pa;
        ok = ok && (!uart || s1_map(s1, uart, uart, GRANULE, S1_MMIO | S1_EL2));
    }
    if (!ok) {
        print("attacker: out of translation tables\n");
        host_exit(VMM_NO_MEMORY);
    }
    s1_enable_el2(s1);
}

void host_exception(struct frame *frame)
{
    if (probe_exception(frame))
        return;
    print("attacker: exception at PC 0x%lx: ESR_EL2 0x%lx, FAR_EL2 0x%lx\n", frame->elr, frame->esr, frame->far);
    host_exit(HOST_EXCEPTION);
}
