/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A lock that is given in the order in which it is asked for: a PE that asks for it over and over keeps no other out.
 * On one PE there is nobody to wait for, and stage 1 may be off, where exclusives need not work. */
#include "vmm.h"

static uint32_t next, serving;
uint32_t vmm_pes = 1;

void vmm_lock(void)
{
    uint32_t ticket, seen;
    if (vmm_pes == 1)
        return;
    __asm__ volatile("   ldadda %w2, %w0, [%3]\n"
                     "   sevl\n"
                     "1: wfe\n"
                     "   ldaxr %w1, [%4]\n" /* the unlock is an event for who has it exclusive */
                     "   cmp %w0, %w1\n"
                     "   b.ne 1b\n"
                     : "=&r"(ticket), "=&r"(seen)
                     : "r"(1), "r"(&next), "r"(&serving)
                     : "memory", "cc");
}

void vmm_unlock(void)
{
    if (vmm_pes == 1)
        return;
    __asm__ volatile("stlr %w0, [%1]" ::"r"(serving + 1), "r"(&serving) : "memory");
}
