/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gic.h"

#define GICD_CTLR 0x0000
#define GICD_TYPER 0x0004
#define GICD_IGROUPR 0x0080
#define GICD_ISENABLER 0x0100
#define GICD_ICENABLER 0x0180
#define GICD_ISPENDR 0x0200
#define GICD_ICPENDR 0x0280
#define GICD_IPRIORITYR 0x0400
#define GICD_IROUTER 0x6000
#define CTLR_GROUP1 (1U << 0 | 1U << 1) /* EnableGrp1, EnableGrp1A */
#define CTLR_ARE_NS (1U << 4)
#define CTLR_RWP (1U << 31)

#define GICR_TYPER 0x0008
#define GICR_WAKER 0x0014
#define TYPER_LAST (1UL << 4)
#define WAKER_SLEEP (1U << 1)
#define WAKER_ASLEEP (1U << 2)
#define SGI_BASE 0x10000UL

#define SGI1R_IRM (1UL << 40)

static uint64_t read64(uint64_t address)
{
    uint64_t value;
    __asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static void write64(uint64_t address, uint64_t value)
{
    __asm__ volatile("str %0, [%1]" ::"r"(value), "r"(address) : "memory");
}

static void settle(uint64_t gicd)
{
    while (mmio_read32(gicd + GICD_CTLR) & CTLR_RWP)
        ;
}

unsigned gic_init(uint64_t gicd)
{
    mmio_write32(gicd + GICD_CTLR, 0);
    settle(gicd);
    unsigned words = (mmio_read32(gicd + GICD_TYPER) & 31) + 1; /* of 32 INTIDs each, the first that of the PEs */
    for (unsigned i = 1; i < words; i++) {
        mmio_write32(gicd + GICD_ICENABLER + 4 * i, ~0U);
        mmio_write32(gicd + GICD_ICPENDR + 4 * i, ~0U);
        mmio_write32(gicd + GICD_IGROUPR + 4 * i, ~0U);
    }
    for (unsigned i = 8; i < 8 * words; i++)
        mmio_write32(gicd + GICD_IPRIORITYR + 4 * i, GIC_PRIORITY * 0x01010101U);
    settle(gicd);
    mmio_write32(gicd + GICD_CTLR, CTLR_ARE_NS);
    mmio_write32(gicd + GICD_CTLR, CTLR_ARE_NS | CTLR_GROUP1);
    settle(gicd);
    return 32 * (words - 1);
}

/* Aff3.Aff2.Aff1.Aff0 without gaps. */
static uint32_t packed(uint64_t mpidr)
{
    return (uint32_t)(mpidr & 0xffffff) | (uint32_t)(mpidr >> 32 & 0xff) << 24;
}

uint64_t gic_redistributor(const struct ccab_host_info *info, uint64_t mpidr)
{
    uint64_t gicr = info->gicr_pa;
    for (uint32_t i = 0; i < info->num_cpus; i++, gicr += info->gicr_stride) {
        uint64_t typer = read64(gicr + GICR_TYPER);
        if (typer >> 32 == packed(mpidr))
            return gicr;
        if (typer & TYPER_LAST)
            break;
    }
    return 0;
}

void gic_init_pe(uint64_t redistributor)
{
    uint64_t sgi = redistributor + SGI_BASE;
    mmio_write32(redistributor + GICR_WAKER, mmio_read32(redistributor + GICR_WAKER) & ~WAKER_SLEEP);
    while (mmio_read32(redistributor + GICR_WAKER) & WAKER_ASLEEP)
        ;
    mmio_write32(sgi + GICD_ICENABLER, ~0U);
    mmio_write32(sgi + GICD_ICPENDR, ~0U);
    mmio_write32(sgi + GICD_IGROUPR, ~0U);
    for (unsigned i = 0; i < 8; i++)
        mmio_write32(sgi + GICD_IPRIORITYR + 4 * i, GIC_PRIORITY * 0x01010101U);
    mmio_write32(sgi + GICD_ISENABLER, 0xffffU | 1U << GIC_PPI_CNTHP | 1U << GIC_PPI_CNTV | 1U << GIC_PPI_CNTP);
    icc_write(ICC_SRE_EL2, 0xf); /* SRE, DFB, DIB, Enable */
    isb();
    icc_write(ICC_PMR_EL1, GIC_PMR_ALL);
    icc_write(ICC_BPR1_EL1, 0);
    icc_write(ICC_CTLR_EL1, 0);
    icc_write(ICC_IGRPEN1_EL1, 1);
    isb();
}

void gic_route(uint64_t gicd, unsigned intid, uint64_t mpidr)
{
    mmio_write32(gicd + GICD_ICENABLER + intid / 32 * 4, 1U << intid % 32);
    settle(gicd);
    write64(gicd + GICD_IROUTER + 8UL * intid, mpidr);
    mmio_write32(gicd + GICD_ISENABLER + intid / 32 * 4, 1U << intid % 32);
}

void gic_pend(uint64_t gicd, unsigned intid)
{
    mmio_write32(gicd + GICD_ISPENDR + intid / 32 * 4, 1U << intid % 32);
}

void gic_unpend(uint64_t gicd, unsigned intid)
{
    mmio_write32(gicd + GICD_ICPENDR + intid / 32 * 4, 1U << intid % 32);
}

int gic_pending(uint64_t gicd, unsigned intid)
{
    return mmio_read32(gicd + GICD_ISPENDR + intid / 32 * 4) >> intid % 32 & 1;
}

void gic_send(unsigned sgi, uint64_t mpidr)
{
    uint64_t aff0 = mpidr & 0xff, aff1 = mpidr >> 8 & 0xff, aff2 = mpidr >> 16 & 0xff, aff3 = mpidr >> 32 & 0xff;
    /* What the other PE shall find in memory is there before the interrupt. */
    dsb();
    icc_write(ICC_SGI1R_EL1, aff3 << 48 | (aff0 >> 4) << 44 | aff2 << 32 | (uint64_t)sgi << 24 | aff1 << 16 |
                                 1UL << (aff0 & 15));
    isb();
}

void gic_send_others(unsigned sgi)
{
    dsb();
    icc_write(ICC_SGI1R_EL1, SGI1R_IRM | (uint64_t)sgi << 24);
    isb();
}
