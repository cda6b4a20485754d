/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-mmio (VIRTIO 1.2 §4.2), split queues whose rings and buffers are in memory that the realm shares. */
#ifndef VIRTIO_H
#define VIRTIO_H

#include <stdint.h>

enum { VIRTIO_NET = 1, VIRTIO_BLOCK = 2, VIRTIO_CONSOLE = 3, VIRTIO_RNG = 4, QUEUE_SIZE = 8 };

struct queue {
    uint64_t base;  /* of the device's registers */
    uint64_t rings; /* unprotected IPA of a page: descriptors, available and used ring */
    uint16_t index, made, seen;
};

struct part {
    uint64_t ipa;
    uint32_t size;
    int writable; /* by the device */
};

/* DeviceID, or 0 where no device of version 2 is. */
uint32_t virtio_probe(uint64_t base);
/* Up to FEATURES_OK: accepts VERSION_1, and ACCESS_PLATFORM when asked to.  Whether the device agrees. */
int virtio_negotiate(uint64_t base, int access_platform);
/* `rings`: a zeroed page.  0 when the device has no such queue. */
int virtio_queue(struct queue *queue, uint64_t base, uint16_t index, uint64_t rings);
void virtio_ready(uint64_t base);
uint32_t virtio_status(uint64_t base);
/* Makes one request of up to QUEUE_SIZE parts and rings the device. */
void virtio_submit(struct queue *queue, const struct part *parts, unsigned count);
/* Whether a request is done; the bytes that the device wrote. */
int virtio_done(struct queue *queue, uint32_t *written);
/* InterruptStatus, acknowledged. */
uint32_t virtio_acknowledge(uint64_t base);

#endif
