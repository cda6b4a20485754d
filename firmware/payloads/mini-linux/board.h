/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What mini-linux takes from the device tree that it is started with. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

#define MAX_VIRTIO 32

struct range {
    uint64_t base;
    uint64_t size;
};

struct virtio_node {
    struct range reg;
    uint32_t intid;
};

struct board {
    struct range memory, uart, gicd, gicr;
    struct virtio_node virtio[MAX_VIRTIO];
    uint32_t uart_intid;
    unsigned virtios, cpus;
    int psci_by_smc;
};

/* Reads a flattened device tree (Devicetree Specification 0.4, chapter 5).  0 when it is malformed. */
int board_read(const void *dtb, struct board *board);

#endif
