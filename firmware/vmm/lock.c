/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A spin lock.  On one PE there is nobody to wait for, and stage 1 may be off, where exclusives need not work. */
#include "vmm.h"

static uint32_t taken;
uint32_t vmm_pes = 1;

void vmm_lock(void)
{
    uint32_t seen, failed;
    if (vmm_pes == 1)
        return;
    __asm__ volatile("   sevl\n"
                     "1: wfe\n"
                     "2: ldaxr %w0, [%2]\n"
                     "   cbnz %w0, 1b\n"
                     "   stxr %w1, %w3, [%2]\n"
                     "   cbnz %w1, 2b\n"
                     : "=&r"(seen), "=&r"(failed)
                     : "r"(&taken), "r"(1)
                     : "memory");
}

void vmm_unlock(void)
{
    if (vmm_pes == 1)
        return;
    __asm__ volatile("stlr wzr, [%0]" ::"r"(&taken) : "memory");
}
