/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A bare image of a third party: knows its board by addresses alone, boots twice, and asks PSCI to switch off.  */
#include <stdint.h>

#include "board.h"

#define GICR_SGI (GICR + 0x10000)
#define PPI_CNTP 30
#define read(name) ({ uint64_t v; __asm__ volatile("mrs %0, " #name : "=r"(v)); v; })
#define write(name, value) __asm__ volatile("msr " #name ", %0\n isb" ::"r"((uint64_t)(value)) : "memory")

extern void secondary(void);
void start(void);
void fault(uint64_t esr, uint64_t far);
void interrupt(void);

static volatile uint32_t taken[128];
static volatile uint64_t second;

static void w32(uint64_t at, uint32_t value)
{
    __asm__ volatile("str %w0, [%1]" ::"r"(value), "r"(at) : "memory");
}

static uint32_t r32(uint64_t at)
{
    uint32_t value;
    __asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(at) : "memory");
    return value;
}

static void puts_at(uint64_t uart, const char *text)
{
    for (; *text; text++) {
        while (r32(uart + 0x18) & 1U << 5) /* UARTFR.TXFF */
            ;
        w32(uart, (uint8_t)*text);
    }
}

static void say(const char *what, uint64_t value)
{
    char digits[17];
    for (int i = 0; i < 16; i++)
        digits[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    digits[16] = 0;
    const char *first = digits;
    while (*first == '0' && first[1])
        first++;
    puts_at(UART, what);
    puts_at(UART, " ");
    puts_at(UART, first);
    puts_at(UART, "\r\n");
}

static int64_t psci(uint64_t fid, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t x0 __asm__("x0") = fid;
    register uint64_t x1 __asm__("x1") = a;
    register uint64_t x2 __asm__("x2") = b;
    register uint64_t x3 __asm__("x3") = c;
    __asm__ volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",
                     "x12", "x13", "x14", "x15", "x16", "x17", "memory");
    return (int64_t)x0;
}

static void off(void)
{
    psci(0x84000008, 0, 0, 0);
}

void fault(uint64_t esr, uint64_t far)
{
    say("fault: ESR_EL2", esr);
    say("fault: FAR_EL2", far);
#ifdef HANG
    for (;;)
        __asm__ volatile("wfi");
#endif
    off();
}

void interrupt(void)
{
    uint32_t intid = (uint32_t)read(S3_0_C12_C12_0); /* ICC_IAR1_EL1 */
    if (intid < 128)
        taken[intid]++;
    if (intid == PPI_CNTP)
        write(cntp_ctl_el0, 0);
#ifdef TIMER_FRAME
    if (intid == TIMER_SPI)
        w32(TIMER_FRAME + 0x2c, 0); /* CNTP_CTL */
#endif
    write(S3_0_C12_C12_1, intid); /* ICC_EOIR1_EL1 */
}

/* ---- what is counted over a reset ---- */

#ifdef FVP_BASE
static uint32_t boots(void)
{
    uint32_t count = r32(KEPT) + 1; /* all ones: never booted */
    w32(KEPT, count);
    return count + 1;
}
#else
/* One bit a boot, cleared by programming two 16-bit chips side by side. */
static uint32_t boots(void)
{
    uint32_t old = r32(KEPT), count = 1;
    for (uint32_t bits = old & 0xffff; !(bits & 1); bits >>= 1)
        count++;
    w32(KEPT, 0x00400040);
    w32(KEPT, old & ~(0x00010001U << (count - 1)));
    w32(KEPT, 0x00ff00ff);
    return count;
}
#endif

static void reset(void)
{
#ifdef WATCHDOG
    w32(WATCHDOG + 0xc00, 0x1acce551);
    w32(WATCHDOG, 32);    /* WDOGLOAD: a millisecond */
    w32(WATCHDOG + 8, 3); /* INTEN, RESEN */
    for (;;)
        __asm__ volatile("wfi");
#else
    psci(0x84000009, 0, 0, 0);
#endif
}

/* ---- interrupts ---- */

static void gic(void)
{
    say("GICD_CTLR", r32(GICD));
    say("GICD_TYPER", r32(GICD + 4) & 0x1f);
    say("GICD_PIDR2", r32(GICD + 0xffe8));
    w32(GICD, 0x12); /* ARE_NS, EnableGrp1A */
    while (r32(GICD) >> 31)
        ;
    w32(GICR + 0x14, r32(GICR + 0x14) & ~2U); /* GICR_WAKER.ProcessorSleep */
    while (r32(GICR + 0x14) & 4)
        ;
    w32(GICR_SGI + 0x80, ~0U);
    w32(GICR_SGI + 0x400 + PPI_CNTP / 4 * 4, 0xa0a0a0a0);
    w32(GICR_SGI + 0x100, 1U << PPI_CNTP);
#ifdef TIMER_FRAME
    w32(GICD + 0x80 + 4, ~0U);
    w32(GICD + 0x400 + TIMER_SPI / 4 * 4, 0xa0a0a0a0);
    __asm__ volatile("str xzr, [%0]" ::"r"(GICD + 0x6000 + 8 * TIMER_SPI) : "memory");
    w32(GICD + 0x100 + 4, 1U << (TIMER_SPI - 32));
#endif
    write(S3_4_C12_C9_5, 15);  /* ICC_SRE_EL2 */
    write(S3_0_C4_C6_0, 0xf0); /* ICC_PMR_EL1 */
    write(S3_0_C12_C12_7, 1);  /* ICC_IGRPEN1_EL1 */
    write(hcr_el2, 1UL << 31 | 1UL << 4);
}

static void wait_for(unsigned intid)
{
    while (!taken[intid]) {
        __asm__ volatile("dsb sy\n wfi\n msr daifclr, #2\n isb\n msr daifset, #2" ::: "memory");
    }
    say("interrupt", intid);
}

void start(void)
{
#ifdef TOUCH
    say("reaching for", ABSENT);
    w32(ABSENT + 0x10, 1);
#endif
    uint32_t boot = boots();
    say("boot", boot);
    say("CurrentEL", read(CurrentEL));
    say("CNTFRQ_EL0", read(cntfrq_el0));
    gic();
    write(cntp_tval_el0, 5000);
    write(cntp_ctl_el0, 1);
    wait_for(PPI_CNTP);
#ifdef TIMER_FRAME
    w32(TIMER_FRAME + 0x28, 5000); /* CNTP_TVAL */
    w32(TIMER_FRAME + 0x2c, 1);
    wait_for(TIMER_SPI);
#endif
    if (boot == 1)
        reset();
#ifdef OTHER_UART
    puts_at(OTHER_UART, "from the third UART\n");
#endif
    say("PSCI", (uint64_t)psci(0x84000000, 0, 0, 0));
    say("CPU_ON", (uint64_t)psci(0xC4000003, SECOND_PE, (uint64_t)secondary, (uint64_t)&second));
    while (!second)
        __asm__ volatile("yield");
    say("second PE", second);
    while (psci(0xC4000004, SECOND_PE, 0, 0) == 0) /* AFFINITY_INFO: on */
        ;
#ifdef POWER
    w32(POWER + 0x10, SECOND_PE); /* PSYSR */
    say("power of it", r32(POWER + 0x10) >> 29 & 1);
#endif
    off();
}
