/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the hypervisor and its guest at EL1 agree on.  Calls: HVC #0, X0 = number and result, X1 and X2 = arguments. */
#ifndef HVC_H
#define HVC_H

#include <stdint.h>

#define GUEST_RAM 0x80000000UL    /* IPA; the hypervisor puts it elsewhere */
#define GUEST_IMAGE_SIZE 0x20000UL /* copied there; the rest is supplied when it is touched */
#define GUEST_RAM_SIZE 0x400000UL
#define GUEST_DEVICE 0x0a000000UL /* IPA of a page with 64 bytes of registers, which keep what is written */
#define GUEST_DEVICE_SIZE 64
#define GUEST_MPIDR 0x80000201UL

#define HVC_NEXT 1     /* X1 + X2 */
#define HVC_PUTS 2     /* X1 = IPA, X2 = bytes */
#define HVC_COUNT 3    /* X1 = enum exits: how many there were */
#define HVC_READ_ONLY 4 /* X1 = IPA of a page: refuses the next store to it, and allows the one after */
#define HVC_SWITCH 5   /* X1 = IPA of a page: goes to the other of two stages 2, which differ in that page */
#define HVC_END 6      /* X1 = checks made, X2 = checks passed; does not return */
#define HVC_UNKNOWN ((uint64_t)-1)

enum exits { EXIT_HVC, EXIT_SMC, EXIT_WFI, EXIT_MMIO, EXIT_DEMAND, EXIT_DIRTY, EXIT_OUTSIDE, EXITS };

#define SMC_ANSWERED 0x84000000UL /* PSCI_VERSION: 1.1 */

static inline uint64_t hypercall(uint64_t number, uint64_t a, uint64_t b)
{
    register uint64_t x0 __asm__("x0") = number;
    register uint64_t x1 __asm__("x1") = a;
    register uint64_t x2 __asm__("x2") = b;
    __asm__ volatile("hvc #0" : "+r"(x0) : "r"(x1), "r"(x2) : "memory");
    return x0;
}

#endif
