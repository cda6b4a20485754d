/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The devices that a realm with Linux gets from its host: GICv3 and timer (IHI 0069), 16550, and what is no device. */
#include "check.h"

#define ICC_PMR_EL1 S3_0_C4_C6_0
#define ICC_SGI1R_EL1 S3_0_C12_C11_5
#define ICC_IAR1_EL1 S3_0_C12_C12_0
#define ICC_EOIR1_EL1 S3_0_C12_C12_1
#define ICC_IGRPEN1_EL1 S3_0_C12_C12_7
#define icc_read(name) read_sysreg(name)
#define icc_write(name, value) write_sysreg(name, value)

#define CTLR 0x000
#define TYPER 0x004
#define IGROUPR 0x080
#define ISENABLER 0x100
#define ICENABLER 0x180
#define ISPENDR 0x200
#define ICPENDR 0x280
#define ISACTIVER 0x300
#define IPRIORITYR 0x400
#define ICFGR 0xc00
#define IROUTER 0x6000
#define PIDR2 0xffe8
#define GICR_TYPER 0x008
#define GICR_WAKER 0x014
#define SGI_BASE 0x10000

#define SPI 40 /* the first of eight that no device has */
#define SPIS 8
#define TIMER 27
#define UART (CCAB_LINUX_UART_INTID)

#define PRIORITY 0xa0
#define IRQ_VECTOR 5
#define SPINS 20000

static uint64_t gicd, gicr, uart;
static volatile unsigned aborts, taken;
static volatile uint64_t esr, far;
static volatile uint8_t order[64];
static volatile unsigned timer_left; /* how often the timer's interrupt is ended while its level stays */
static volatile uint32_t active_inside;
static volatile uint8_t iir;

static uint8_t read8(uint64_t address)
{
    uint8_t value;
    __asm__ volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static void write8(uint64_t address, uint8_t value)
{
    __asm__ volatile("strb %w0, [%1]" ::"r"(value), "r"(address) : "memory");
}

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

static void irq(void)
{
    uint64_t intid = icc_read(ICC_IAR1_EL1);
    if (taken < sizeof order)
        order[taken] = (uint8_t)intid;
    taken++;
    if (intid == TIMER && (!timer_left || !--timer_left))
        write_sysreg(cntv_ctl_el0, 0);
    if (intid == UART)
        iir = read8(uart + 2);
    if (intid >= 32)
        active_inside = mmio_read32(gicd + ISACTIVER + 4);
    icc_write(ICC_EOIR1_EL1, intid);
}

void realm_exception(struct frame *frame)
{
    if (frame->vector == IRQ_VECTOR) {
        irq();
        return;
    }
    aborts++;
    esr = frame->esr;
    far = frame->far;
    frame->elr += 4;
}

static void unmask(void)
{
    __asm__ volatile("msr daifclr, #2" ::: "memory");
}

static void mask(void)
{
    __asm__ volatile("msr daifset, #2" ::: "memory");
}

/* Lets interrupts come until `count` did, or for a while; how many came. */
static unsigned wait_for(unsigned count)
{
    unmask();
    for (unsigned i = 0; i < SPINS && taken < count; i++)
        __asm__ volatile("yield" ::: "memory");
    /* No more may come than were asked for. */
    for (unsigned i = 0; i < 100; i++)
        __asm__ volatile("yield" ::: "memory");
    mask();
    unsigned came = taken;
    taken = 0;
    return came;
}

static uint32_t bit(unsigned intid)
{
    return 1U << (intid & 31);
}

static void registers(void)
{
    check_equal(mmio_read32(gicd + TYPER) & 0x1f, 1, "GICD_TYPER: 64 INTIDs");
    check_equal(mmio_read32(gicd + CTLR), 0x50, "GICD_CTLR at reset: affinity routing, one Security state, groups off");
    check_equal(mmio_read32(gicd + PIDR2) >> 4, 3, "GICD_PIDR2: GICv3");
    check_equal(mmio_read32(gicr + PIDR2) >> 4, 3, "GICR_PIDR2: GICv3");
    check_equal(read64(gicr + GICR_TYPER), 1 << 4, "GICR_TYPER: affinity 0, the last one, no LPIs");
    check_equal(mmio_read32(gicr + GICR_WAKER) & 6, 0, "GICR_WAKER: awake");
    mmio_write32(gicd + ISENABLER, 1U << TIMER);
    check_equal(mmio_read32(gicd + ISENABLER), 0, "GICD_ISENABLER0 is RAZ/WI");
    check_equal(mmio_read32(gicr + SGI_BASE + ISENABLER), 0, "and enables nothing");
    write8(gicd + IPRIORITYR + SPI, 0xff);
    check_equal(read8(gicd + IPRIORITYR + SPI), 0xf8, "GICD_IPRIORITYR: five bits, reached by bytes");
    check_equal(read8(gicd + IPRIORITYR + SPI + 1), 0, "the byte beside it is untouched");
    write64(gicd + IROUTER + 8 * SPI, 0x0500000201);
    check_equal(read64(gicd + IROUTER + 8 * SPI), 0x0500000201, "GICD_IROUTER: 64 bits at once");
    write64(gicd + IROUTER + 8 * SPI, 0);
    mmio_write32(gicr + SGI_BASE + ICFGR, 0);
    check_equal(mmio_read32(gicr + SGI_BASE + ICFGR), 0xaaaaaaaa, "GICR_ICFGR0: SGIs are edges");
    check_equal(mmio_read32(gicd + 0x5000), 0, "a reserved register reads as zero");
}

static void turn_on(void)
{
    mmio_write32(gicd + IGROUPR + 4, ~0U);
    mmio_write32(gicr + SGI_BASE + IGROUPR, ~0U);
    for (unsigned i = 0; i < 32; i += 4) {
        mmio_write32(gicd + IPRIORITYR + 32 + i, PRIORITY * 0x01010101U);
        mmio_write32(gicr + SGI_BASE + IPRIORITYR + i, PRIORITY * 0x01010101U);
    }
    mmio_write32(gicd + ICFGR + 8, 0xaaaa0000); /* 40 to 47: edges */
    mmio_write32(gicd + CTLR, 2);
    icc_write(ICC_PMR_EL1, 0xf0);
    icc_write(ICC_IGRPEN1_EL1, 1);
    isb();
}

static void spis(void)
{
    mmio_write32(gicd + ISPENDR + 4, bit(SPI));
    check_equal(wait_for(1), 0, "a disabled SPI is not taken");
    check_equal(mmio_read32(gicd + ISPENDR + 4), bit(SPI), "and stays pending");
    mmio_write32(gicd + ICPENDR + 4, bit(SPI));
    mmio_write32(gicd + ISENABLER + 4, bit(SPI));
    check_equal(wait_for(1), 0, "what GICD_ICPENDR took back does not come");

    mmio_write32(gicd + ISPENDR + 4, bit(SPI));
    check_equal(wait_for(1), 1, "an SPI made pending is taken once");
    check_equal(order[0], SPI, "by its number");
    check_equal(active_inside, bit(SPI), "it is active until its end");
    check_equal(mmio_read32(gicd + ISACTIVER + 4) | mmio_read32(gicd + ISPENDR + 4), 0, "and nothing thereafter");

    write64(gicd + IROUTER + 8 * SPI, 1);
    mmio_write32(gicd + ISPENDR + 4, bit(SPI));
    check_equal(wait_for(1), 0, "an SPI routed to nobody is not taken");
    write64(gicd + IROUTER + 8 * SPI, 0);
    check_equal(wait_for(1), 1, "it comes once it is routed here");

    mmio_write32(gicd + CTLR, 0);
    mmio_write32(gicd + ISPENDR + 4, bit(SPI));
    check_equal(wait_for(1), 0, "nothing is taken while its group is off");
    mmio_write32(gicd + CTLR, 2);
    check_equal(wait_for(1), 1, "it comes when the group is on");
}

/* More interrupts than there are list registers, from the lowest priority to the highest. */
static void many(void)
{
    for (unsigned i = 0; i < SPIS; i++)
        write8(gicd + IPRIORITYR + SPI + i, (uint8_t)(0x80 - 8 * i));
    mmio_write32(gicd + ISENABLER + 4, 0xffU << (SPI & 31));
    mmio_write32(gicd + ISPENDR + 4, 0xffU << (SPI & 31));
    check_equal(wait_for(SPIS), SPIS, "eight SPIs at a time are taken once each");
    unsigned sorted = 0;
    for (unsigned i = 0; i < SPIS; i++)
        sorted += order[i] == SPI + SPIS - 1 - i;
    check_equal(sorted, SPIS, "the highest priority first");
    mmio_write32(gicd + ICENABLER + 4, ~0U);
    check_equal(mmio_read32(gicd + ISENABLER + 4), 0, "GICD_ICENABLER disables");
}

static void sgis(void)
{
    mmio_write32(gicr + SGI_BASE + ISENABLER, bit(5));
    icc_write(ICC_SGI1R_EL1, 5UL << 24 | 1);
    check(wait_for(1) == 1 && order[0] == 5, "an SGI to this PE is taken");
    icc_write(ICC_SGI1R_EL1, 5UL << 24 | 2);
    icc_write(ICC_SGI1R_EL1, 5UL << 24 | 1UL << 16 | 1);
    icc_write(ICC_SGI1R_EL1, 5UL << 24 | 1UL << 40 | 1);
    check_equal(wait_for(1), 0, "SGIs to other affinities, and to all but self, are not");
}

static void timer(void)
{
    mmio_write32(gicr + SGI_BASE + ISENABLER, bit(TIMER));
    timer_left = 3;
    write_sysreg(cntv_cval_el0, read_sysreg(cntvct_el0) + 20000);
    write_sysreg(cntv_ctl_el0, 1);
    isb();
    __asm__ volatile("wfi" ::: "memory");
    check(read_sysreg(cntvct_el0) >= read_sysreg(cntv_cval_el0), "WFI waits for the timer");
    check_equal(wait_for(3), 3, "the timer's level comes again until it is gone");
    check_equal(order[0] == TIMER && order[2] == TIMER, 1, "as INTID 27");
    check_equal(mmio_read32(gicr + SGI_BASE + ISPENDR) & bit(TIMER), 0, "and is pending no more");
}

static void serial(void)
{
    static const char text[] = "devices: by the UART\n";
    check_equal(read8(uart + 5), 0x60, "LSR: transmitter empty, nothing received");
    write8(uart + 7, 0x5a);
    check_equal(read8(uart + 7), 0x5a, "SCR keeps what it is given");
    write8(uart + 3, 0x83);
    write8(uart, 0x0c);
    check(read8(uart) == 0x0c && read8(uart + 3) == 0x83, "the divisor is behind LCR.DLAB");
    write8(uart + 3, 0x03);
    check_equal(read8(uart), 0, "RBR: nothing comes in");
    write8(uart + 4, 0x1a);
    check_equal(read8(uart + 6) & 0xf0, 0x90, "in loopback RTS is CTS, and OUT2 is DCD");
    write8(uart, 'X'); /* not to be seen */
    write8(uart + 4, 0x0b);
    check_equal(read8(uart + 2), 0x01, "IIR: no interrupt");
    mmio_write32(gicd + ISENABLER + 4, bit(UART));
    write8(uart + 1, 0x02);
    check(wait_for(1) == 1 && order[0] == UART, "IER.THRE raises SPI 32");
    check_equal(iir, 0x02, "IIR says why");
    check_equal(read8(uart + 2), 0x01, "and has forgotten it then");
    write8(uart + 1, 0);
    write8(uart + 2, 0x01);
    check_equal(read8(uart + 2), 0xc1, "IIR: FIFOs on");
    for (const char *c = text; *c; c++)
        write8(uart, (uint8_t)*c);
}

static void sea(uint64_t address, const char *what)
{
    /* DDI 0487, ESR_ELx for a Data Abort: EC 0x25, DFSC 0x10. */
    check(aborts == 1 && ESR_EC(esr) == EC_DABORT_SAME && ESR_FSC(esr) == 0x10 && far == address, what);
    aborts = 0;
}

static void nothing_there(void)
{
    uint64_t nowhere = 0x05000000 | realm_entry.shared_bit;
    uint64_t a = 0, b = 0;
    (void)mmio_read32(nowhere);
    sea(nowhere, "a read where there is no device is an external abort");
    mmio_write32(nowhere + 0x10, 0);
    sea(nowhere + 0x10, "a write too");
    __asm__ volatile("ldp %0, %1, [%2]" : "+r"(a), "+r"(b) : "r"(nowhere));
    sea(nowhere, "a pair too");
    __asm__ volatile("ldp %0, %1, [%2]" : "+r"(a), "+r"(b) : "r"(uart));
    sea(uart, "a pair of a device's registers too");
    (void)mmio_read32(gicr + 0x20000 - 0x20000 * 2);
    sea(gicr - 0x20000, "there is no second redistributor");
}

static void sharing(void)
{
    uint64_t page = realm_entry.ram_base + realm_entry.ram_size - GRANULE, next, response;
    write64(page, 1);
    rsi_ipa_state_set(page, page + GRANULE, RSI_RIPAS_EMPTY, RSI_NO_CHANGE_DESTROYED, &next, &response);
    check_equal(next, page + GRANULE, "a page becomes EMPTY");
    check_equal(read64(page | realm_entry.shared_bit), 0, "its alias is a page of the host, wiped");
    write64(page | realm_entry.shared_bit, 2);
    check_equal(read64(page | realm_entry.shared_bit), 2, "which keeps what is written");
    rsi_ipa_state_set(page, page + GRANULE, RSI_RIPAS_RAM, RSI_NO_CHANGE_DESTROYED, &next, &response);
    check(next == page + GRANULE && response == RSI_ACCEPT, "it becomes RAM again");
    check_equal(read64(page), 0, "zero");
    page = realm_entry.ram_base + realm_entry.ram_size;
    rsi_ipa_state_set(page, page + GRANULE, RSI_RIPAS_RAM, RSI_NO_CHANGE_DESTROYED, &next, &response);
    check_equal(response, RSI_REJECT, "a page beyond the RAM does not");
}

int main(void)
{
    uint64_t next, response;
    gicd = CCAB_LINUX_GICD_IPA | realm_entry.shared_bit;
    gicr = CCAB_LINUX_GICR_IPA | realm_entry.shared_bit;
    uart = CCAB_LINUX_UART_IPA | realm_entry.shared_bit;
    check_equal(ripas_of(realm_entry.ram_base + realm_entry.ram_size - GRANULE), RSI_RIPAS_EMPTY,
                "memory that the host did not load is EMPTY");
    rsi_ipa_state_set(realm_entry.ram_base, realm_entry.ram_base + realm_entry.ram_size, RSI_RIPAS_RAM,
                      RSI_NO_CHANGE_DESTROYED, &next, &response);
    check_equal(ripas_of(realm_entry.ram_base + realm_entry.ram_size - GRANULE), RSI_RIPAS_RAM, "until it is made RAM");
    registers();
    turn_on();
    spis();
    many();
    sgis();
    timer();
    serial();
    nothing_there();
    sharing();
    return checks_end("devices");
}
