/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "board.h"
#include "mem.h"

enum { BEGIN_NODE = 1, END_NODE = 2, PROP = 3, NOP = 4, END = 9, MAX_DTB = 2 << 20, SPI = 32 };

static uint32_t word(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint64_t pair(const uint8_t *at)
{
    return (uint64_t)word(at) << 32 | word(at + 4);
}

static int starts(const char *name, const char *with)
{
    while (*with)
        if (*name++ != *with++)
            return 0;
    return 1;
}

static int same(const char *a, const char *b)
{
    return starts(a, b) && a[strlen(b)] == 0;
}

static struct range reg(const uint8_t *value)
{
    return (struct range){pair(value), pair(value + 8)};
}

/* One property of a node below the root. */
static void property(struct board *board, const char *node, const char *name, const uint8_t *value, uint32_t size)
{
    if (same(name, "reg") && size >= 16) {
        if (starts(node, "memory@"))
            board->memory = reg(value);
        else if (starts(node, "serial@"))
            board->uart = reg(value);
        else if (starts(node, "interrupt-controller@") && size >= 32)
            board->gicd = reg(value), board->gicr = reg(value + 16);
        else if (starts(node, "virtio@") && board->virtios < MAX_VIRTIO)
            board->virtio[board->virtios].reg = reg(value);
    } else if (same(name, "interrupts") && size >= 12) {
        uint32_t intid = word(value + 4) + SPI;
        if (starts(node, "serial@"))
            board->uart_intid = intid;
        else if (starts(node, "virtio@") && board->virtios < MAX_VIRTIO)
            board->virtio[board->virtios].intid = intid;
    } else if (same(node, "psci") && same(name, "method") && size == 4) {
        board->psci_by_smc = same((const char *)value, "smc");
    }
}

int board_read(const void *dtb, struct board *board)
{
    const uint8_t *at = dtb;
    memset(board, 0, sizeof *board);
    uint32_t size = word(at + 4), structure = word(at + 8), strings = word(at + 12);
    if (word(at) != 0xd00dfeed || size > MAX_DTB || structure >= size || strings >= size)
        return 0;
    const char *node = "";
    unsigned depth = 0;
    for (uint32_t offset = structure; offset + 4 <= size;) {
        uint32_t token = word(at + offset);
        offset += 4;
        if (token == BEGIN_NODE) {
            const char *name = (const char *)at + offset;
            uint32_t length = 0;
            while (offset + length < size && name[length])
                length++;
            if (offset + length >= size)
                return 0;
            offset += (length + 4) & ~3U;
            depth++;
            if (depth == 2)
                node = name;
            else if (depth == 3 && same(node, "cpus") && starts(name, "cpu@"))
                board->cpus++;
        } else if (token == END_NODE) {
            if (!depth)
                return 0;
            if (depth-- == 2 && starts(node, "virtio@") && board->virtios < MAX_VIRTIO)
                board->virtios++;
        } else if (token == PROP) {
            if (offset + 8 > size)
                return 0;
            uint32_t length = word(at + offset), name = word(at + offset + 4);
            offset += 8;
            if (length > size - offset || name >= size - strings)
                return 0;
            if (depth == 2)
                property(board, node, (const char *)at + strings + name, at + offset, length);
            offset += (length + 3) & ~3U;
        } else if (token == END) {
            return depth == 0 && board->memory.size && board->cpus;
        } else if (token != NOP) {
            return 0;
        }
    }
    return 0;
}
