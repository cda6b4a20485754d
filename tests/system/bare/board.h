/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two boards as their own documentation has them; nothing of this is read from the machine files. */
#ifndef BOARD_H
#define BOARD_H

#ifdef FVP_BASE
#define LOAD_ADDRESS 0x88000000
#define UART 0x1C090000UL /* PL011 0 */
#define OTHER_UART 0x1C0B0000UL /* PL011 2 */
#define GICD 0x2F000000UL
#define GICR 0x2F100000UL
#define SECOND_PE 0x100UL
#define KEPT 0x82800000UL /* 64 KiB of non-volatile memory, erased to ones */
#define TIMER_FRAME 0x2A830000UL
#define TIMER_SPI 58
#define WATCHDOG 0x1C0F0000UL /* SP805 */
#define POWER 0x1C100000UL
#define ABSENT 0x1C130000UL /* virtio-mmio of the model, behind which nothing is here */
#define TIMERS_HZ 100000000UL
#else
#define LOAD_ADDRESS 0x40080000
#define UART 0x09000000UL
#define GICD 0x08000000UL
#define GICR 0x080A0000UL
#define SECOND_PE 1UL
#define KEPT 0x04000000UL /* the second flash bank */
#define ABSENT 0x0A000000UL /* virtio-mmio of QEMU's board, which is not here */
#define TIMERS_HZ 1000000000UL
#endif

#endif
