/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The redistributors' frames, and the way from a physical address to a frame. */
#include "gic.h"

enum { FRAME = 0x10000, WAKER_SLEEP = 1 << 1, WAKER_ASLEEP = 1 << 2 };

static uint64_t typer(const struct gic *g, unsigned pe)
{
    uint64_t a = g->pe[pe].affinity;
    uint64_t affinity = (a & 0xFFFFFF) | ((a >> 32) & 0xFF) << 24;
    return affinity << 32 | (uint64_t)pe << 8 | (uint64_t)(pe + 1 == g->config.npes) << 4;
}

/* GICR_*, RD_base and then SGI_base; the value of a read must come in as 0. */
void gic_redist_access(struct gic *g, unsigned pe, uint32_t offset, unsigned size, bool secure, bool read,
                       uint64_t *value)
{
    struct gic_pe *p = &g->pe[pe];
    if (offset >= FRAME) {
        gic_banks(g, pe, 0, 32, offset - FRAME, size, secure, read, value);
        return;
    }
    if (read && (offset == 0x0008 || (offset == 0x000C && size == 4)) && size >= 4) {
        *value = typer(g, pe) >> (offset == 0x000C ? 32 : 0);
        if (size == 4) *value = (uint32_t)*value;
        return;
    }
    if (size != 4) return;
    if (offset == 0x0014 && secure) { /* WAKER: the children follow at once */
        if (read) {
            *value = p->asleep ? WAKER_SLEEP | WAKER_ASLEEP : 0;
        } else {
            p->asleep = (*value & WAKER_SLEEP) != 0;
            gic_changed(g);
        }
    } else if (read) {
        *value = offset == 0x0004 ? 0x0000043B : gic_id_register(offset);
    }
}

bool gic_access(struct gic *g, uint64_t pa, unsigned size, bool secure, bool read, uint64_t *value)
{
    uint64_t v = read ? 0 : *value;
    if (pa - g->config.dist < FRAME) {
        gic_dist_access(g, (uint32_t)(pa - g->config.dist), size, secure, read, &v);
    } else {
        uint64_t offset = pa - g->config.redist;
        if (offset >= g->config.stride * g->config.npes) return false;
        uint64_t within = offset % g->config.stride;
        if (within < 2 * FRAME)
            gic_redist_access(g, (unsigned)(offset / g->config.stride), (uint32_t)within, size, secure, read, &v);
    }
    if (read) *value = v;
    return true;
}
