/* SPDX-License-Identifier: GPL-2.0-or-later */
/* aarch64: system registers, barriers, memory-mapped registers, the frame that the vectors save. */
#ifndef ARCH_H
#define ARCH_H

#include <stdint.h>

#define GRANULE 0x1000UL

/* Registers at an exception; a handler may change them, they are restored from here. */
struct frame {
    uint64_t x[31];
    uint64_t elr;
    uint64_t spsr;
    uint64_t esr;
    uint64_t far;
    uint64_t vector; /* 0..15: which entry of the vector table */
};

#define read_sysreg(name)                                                                                    \
    __extension__({                                                                                          \
        uint64_t value_;                                                                                     \
        __asm__ volatile("mrs %0, " #name : "=r"(value_));                                                   \
        value_;                                                                                              \
    })
#define write_sysreg(name, value) __asm__ volatile("msr " #name ", %0" ::"r"((uint64_t)(value)) : "memory")

static inline void isb(void)
{
    __asm__ volatile("isb" ::: "memory");
}

static inline void dsb(void)
{
    __asm__ volatile("dsb sy" ::: "memory");
}

static inline uint32_t mmio_read32(uint64_t address)
{
    uint32_t value;
    __asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void mmio_write32(uint64_t address, uint32_t value)
{
    __asm__ volatile("str %w0, [%1]" ::"r"(value), "r"(address) : "memory");
}

/* ESR_ELx fields. */
#define ESR_EC(esr) ((esr) >> 26 & 0x3f)
#define ESR_FSC(esr) ((esr) & 0x3f)
#define EC_UNKNOWN 0x00
#define EC_WFX 0x01
#define EC_SMC64 0x17
#define EC_SYSREG 0x18
#define EC_IABORT_LOWER 0x20
#define EC_IABORT_SAME 0x21
#define EC_DABORT_LOWER 0x24
#define EC_DABORT_SAME 0x25

/* PL011 registers (DDI 0183). */
#define PL011_DR 0x00
#define PL011_FR 0x18
#define PL011_FR_RXFE 0x10
#define PL011_FR_TXFF 0x20
#define PL011_FR_TXFE 0x80

static inline void pl011_write(uint64_t base, const char *text, uint64_t length)
{
    for (uint64_t i = 0; i < length; i++) {
        while (mmio_read32(base + PL011_FR) & PL011_FR_TXFF)
            ;
        mmio_write32(base + PL011_DR, (uint8_t)text[i]);
    }
}

#endif
