/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GICv3 as software of the Normal world sees it at EL2: distributor, redistributors, CPU interface (IHI 0069). */
#ifndef GIC_H
#define GIC_H

#include "host.h"

#define GIC_SGIS 16
#define GIC_PPI_CNTHP 26
#define GIC_PPI_CNTV 27
#define GIC_PPI_CNTP 30
#define GIC_SPIS 32
#define GIC_SPECIAL 1020 /* from here on: no interrupt */
#define GIC_PRIORITY 0xa0
#define GIC_PMR_ALL 0xf0

#define ICC_PMR_EL1 S3_0_C4_C6_0
#define ICC_SGI1R_EL1 S3_0_C12_C11_5
#define ICC_RPR_EL1 S3_0_C12_C11_3
#define ICC_IAR1_EL1 S3_0_C12_C12_0
#define ICC_EOIR1_EL1 S3_0_C12_C12_1
#define ICC_HPPIR1_EL1 S3_0_C12_C12_2
#define ICC_BPR1_EL1 S3_0_C12_C12_3
#define ICC_CTLR_EL1 S3_0_C12_C12_4
#define ICC_IGRPEN1_EL1 S3_0_C12_C12_7
#define ICC_SRE_EL2 S3_4_C12_C9_5

/* read_sysreg() pastes its argument as it stands; these expand it first. */
#define icc_read(name) read_sysreg(name)
#define icc_write(name, value) write_sysreg(name, value)

/* Distributor: affinity routing and Group 1 on, every SPI off, in Group 1, at GIC_PRIORITY.  How many SPIs there are. */
unsigned gic_init(uint64_t gicd);
/* The redistributor (RD_base) of the PE with this affinity, 0 for none. */
uint64_t gic_redistributor(const struct ccab_host_info *info, uint64_t mpidr);
/* This PE's redistributor and CPU interface; SGIs and the timers' PPIs on. */
void gic_init_pe(uint64_t redistributor);
/* SPIs: routes one to a PE and enables it; sets or clears its pending state. */
void gic_route(uint64_t gicd, unsigned intid, uint64_t mpidr);
void gic_pend(uint64_t gicd, unsigned intid);
void gic_unpend(uint64_t gicd, unsigned intid);
int gic_pending(uint64_t gicd, unsigned intid);
/* SGIs to one PE, or to all but this one. */
void gic_send(unsigned sgi, uint64_t mpidr);
void gic_send_others(unsigned sgi);

#endif
