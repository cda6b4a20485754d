/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio.h"
#include "arch.h"

/* Registers (§4.2.2). */
enum {
    MAGIC = 0x00,
    VERSION = 0x04,
    DEVICE_ID = 0x08,
    DRIVER_FEATURES = 0x20,
    DRIVER_FEATURES_SEL = 0x24,
    QUEUE_SEL = 0x30,
    QUEUE_NUM_MAX = 0x34,
    QUEUE_NUM = 0x38,
    QUEUE_READY = 0x44,
    QUEUE_NOTIFY = 0x50,
    INTERRUPT_STATUS = 0x60,
    INTERRUPT_ACK = 0x64,
    STATUS = 0x70,
    QUEUE_DESC = 0x80,
    QUEUE_DRIVER = 0x90,
    QUEUE_DEVICE = 0xa0,
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { DESC_NEXT = 1, DESC_WRITE = 2, AVAILABLE = 0x400, USED = 0x800 };

struct descriptor {
    uint64_t ipa;
    uint32_t size;
    uint16_t flags, next;
};

static volatile uint16_t *half(uint64_t at)
{
    return (volatile uint16_t *)at;
}

uint32_t virtio_probe(uint64_t base)
{
    if (mmio_read32(base + MAGIC) != 0x74726976 || mmio_read32(base + VERSION) != 2)
        return 0;
    return mmio_read32(base + DEVICE_ID);
}

int virtio_negotiate(uint64_t base, int access_platform)
{
    mmio_write32(base + STATUS, 0);
    mmio_write32(base + STATUS, ACKNOWLEDGE | DRIVER);
    mmio_write32(base + DRIVER_FEATURES_SEL, 1);
    mmio_write32(base + DRIVER_FEATURES, 1 | (access_platform ? 2 : 0)); /* VERSION_1 is 32, ACCESS_PLATFORM 33 */
    mmio_write32(base + DRIVER_FEATURES_SEL, 0);
    mmio_write32(base + DRIVER_FEATURES, 0);
    mmio_write32(base + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    return (mmio_read32(base + STATUS) & FEATURES_OK) != 0;
}

int virtio_queue(struct queue *queue, uint64_t base, uint16_t index, uint64_t rings)
{
    *queue = (struct queue){.base = base, .rings = rings, .index = index};
    mmio_write32(base + QUEUE_SEL, index);
    if (mmio_read32(base + QUEUE_NUM_MAX) < QUEUE_SIZE)
        return 0;
    mmio_write32(base + QUEUE_NUM, QUEUE_SIZE);
    const uint64_t addresses[3] = {rings, rings + AVAILABLE, rings + USED};
    const uint32_t registers[3] = {QUEUE_DESC, QUEUE_DRIVER, QUEUE_DEVICE};
    for (unsigned i = 0; i < 3; i++) {
        mmio_write32(base + registers[i], (uint32_t)addresses[i]);
        mmio_write32(base + registers[i] + 4, (uint32_t)(addresses[i] >> 32));
    }
    mmio_write32(base + QUEUE_READY, 1);
    return 1;
}

void virtio_ready(uint64_t base)
{
    mmio_write32(base + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

uint32_t virtio_status(uint64_t base)
{
    return mmio_read32(base + STATUS);
}

void virtio_submit(struct queue *queue, const struct part *parts, unsigned count)
{
    volatile struct descriptor *table = (volatile struct descriptor *)queue->rings;
    for (unsigned i = 0; i < count; i++) {
        table[i].ipa = parts[i].ipa;
        table[i].size = parts[i].size;
        table[i].flags = (uint16_t)((parts[i].writable ? DESC_WRITE : 0) | (i + 1 < count ? DESC_NEXT : 0));
        table[i].next = (uint16_t)(i + 1);
    }
    half(queue->rings + AVAILABLE)[2 + queue->made % QUEUE_SIZE] = 0;
    dsb();
    half(queue->rings + AVAILABLE)[1] = ++queue->made;
    dsb();
    mmio_write32(queue->base + QUEUE_NOTIFY, queue->index);
}

int virtio_done(struct queue *queue, uint32_t *written)
{
    dsb();
    if (half(queue->rings + USED)[1] == queue->seen)
        return 0;
    volatile uint32_t *element = (volatile uint32_t *)(queue->rings + USED + 4) + 2 * (queue->seen++ % QUEUE_SIZE);
    *written = element[1];
    return 1;
}

uint32_t virtio_acknowledge(uint64_t base)
{
    uint32_t status = mmio_read32(base + INTERRUPT_STATUS);
    mmio_write32(base + INTERRUPT_ACK, status);
    return status;
}
