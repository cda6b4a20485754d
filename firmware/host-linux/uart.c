/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A 16550, registers of one byte: what is written goes to the realm's console, and nothing ever comes in. */
#include "linux.h"

enum { THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

#define IER_THRE 0x02
#define IER_ALL 0x0f
#define IIR_NONE 0x01
#define IIR_THRE 0x02
#define IIR_FIFOS 0xc0
#define FCR_ENABLE 0x01
#define LCR_DLAB 0x80
#define MCR_LOOP 0x10
#define MCR_ALL 0x1f
#define LSR_EMPTY 0x60 /* THRE, TEMT */
#define MSR_CONNECTED 0xb0 /* CTS, DSR, DCD */

int init_status;

static const struct vmm_realm *owner;
static uint8_t divisor[2];
static uint8_t ier, fcr, lcr, mcr, scr;
static int thre; /* the transmitter is empty, which IIR has not told yet */

void uart_init(const struct vmm_realm *realm)
{
    owner = realm;
}

/* The status that the last line by which init tells it has: up to three digits, LF or CR LF. */
static void note(char byte)
{
    static const char mark[] = CCAB_LINUX_EXIT;
    static char tail[sizeof mark - 1 + 5];
    unsigned at = sizeof tail - 1, scale = 1, value = 0, digits = 0;
    memmove(tail, tail + 1, at);
    tail[at] = byte;
    if (byte != '\n')
        return;
    if (tail[at - 1] == '\r')
        at--;
    for (; digits < 3 && tail[at - 1] >= '0' && tail[at - 1] <= '9'; digits++, at--, scale *= 10)
        value += scale * (unsigned)(tail[at - 1] - '0');
    if (digits && at >= sizeof mark - 1 && memcmp(&tail[at - (sizeof mark - 1)], mark, sizeof mark - 1) == 0)
        init_status = (int)(value & 0xff);
}

static int interrupt(void)
{
    return thre && ier & IER_THRE;
}

static void update(void)
{
    vgic_line(CCAB_LINUX_UART_INTID, interrupt());
}

/* MSR[7:4]: in loopback RTS, DTR, OUT1 and OUT2 are CTS, DSR, RI and DCD. */
static uint8_t modem(void)
{
    if (!(mcr & MCR_LOOP))
        return MSR_CONNECTED;
    return (uint8_t)((mcr & 2) << 3 | (mcr & 1) << 5 | (mcr & 4) << 4 | (mcr & 8) << 4);
}

static uint8_t identify(void)
{
    uint8_t cause = IIR_NONE;
    if (interrupt()) {
        cause = IIR_THRE;
        thre = 0;
    }
    return cause | (fcr & FCR_ENABLE ? IIR_FIFOS : 0);
}

uint64_t uart_read(uint64_t offset, unsigned size)
{
    uint8_t value = 0;
    (void)size;
    switch (offset) {
    case THR:
    case IER:
        if (lcr & LCR_DLAB)
            value = divisor[offset];
        else if (offset == IER)
            value = ier;
        break;
    case IIR_FCR:
        value = identify();
        break;
    case LCR:
        value = lcr;
        break;
    case MCR:
        value = mcr;
        break;
    case LSR:
        value = LSR_EMPTY;
        break;
    case MSR:
        value = modem();
        break;
    case SCR:
        value = scr;
        break;
    default:
        break;
    }
    update();
    return value;
}

static void transmit(char byte)
{
    if (!(mcr & MCR_LOOP)) {
        realm_puts(owner, &byte, 1);
        note(byte);
    }
    thre = 1;
}

static void enable(uint8_t value)
{
    /* Enabling it while the transmitter is empty raises it. */
    if (value & ~ier & IER_THRE)
        thre = 1;
    ier = value & IER_ALL;
}

void uart_write(uint64_t offset, unsigned size, uint64_t value)
{
    uint8_t byte = (uint8_t)value;
    (void)size;
    switch (offset) {
    case THR:
    case IER:
        if (lcr & LCR_DLAB)
            divisor[offset] = byte;
        else if (offset == THR)
            transmit((char)byte);
        else
            enable(byte);
        break;
    case IIR_FCR:
        fcr = byte & FCR_ENABLE;
        break;
    case LCR:
        lcr = byte;
        break;
    case MCR:
        mcr = byte & MCR_ALL;
        break;
    case SCR:
        scr = byte;
        break;
    default:
        break;
    }
    update();
}
