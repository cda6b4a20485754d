/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VMM for a realm with Linux and one vCPU: what its devices and its exit loop share. */
#ifndef LINUX_H
#define LINUX_H

#include "vmm.h"

#define REC 0 /* the one vCPU */

/* ---- vgic.c: a GICv3 of one vCPU and 32 SPIs, without LPIs (IHI 0069) ---- */

#define VGIC_PTIMER 30
#define VGIC_VTIMER 27

/* `lrs`: list registers that the RMM offers. */
void vgic_init(unsigned lrs);
/* The level of an interrupt line, 16 to 63. */
void vgic_line(unsigned intid, int level);
/* ICC_SGI1R_EL1 and its kin, trapped.  0 when the access is not one of those. */
int vgic_sysreg(uint64_t esr, uint64_t value);
uint64_t gicd_read(uint64_t offset, unsigned size);
void gicd_write(uint64_t offset, unsigned size, uint64_t value);
uint64_t gicr_read(uint64_t offset, unsigned size);
void gicr_write(uint64_t offset, unsigned size, uint64_t value);
/* What the next REC_ENTER injects, and what an exit says of that and of the timers. */
void vgic_fill(struct rmi_rec_enter *enter);
void vgic_fold(const struct rmi_rec_run *run);

/* ---- uart.c: a 16550 that nobody writes to ---- */

/* How the script of the project's init ended, from what it writes; 0 before that. */
extern int init_status;

void uart_init(const struct vmm_realm *realm);
uint64_t uart_read(uint64_t offset, unsigned size);
void uart_write(uint64_t offset, unsigned size, uint64_t value);

/* ---- exits.c ---- */

/* Runs the realm to its end. */
void realm_run(struct vmm_realm *realm);

#endif
