/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The distributor's frame, and the banks of per-interrupt registers that it shares with the redistributors. */
#include "gic.h"

enum {
    CTLR_ARE_S = 1 << 4,
    CTLR_ARE_NS = 1 << 5,
    CTLR_E1NWF = 1 << 7,
    NSACR_SET = 1, /* what a field of NSACR must be for a Non-secure access to that much (IHI 0069, GICD_NSACR) */
    NSACR_CLEAR = 2,
    NSACR_ROUTE = 3,
};

static unsigned nsacr_field(const struct gic_word *w, unsigned n)
{
    return (w->nsacr[n / 16] >> (n % 16 * 2)) & 3;
}

static uint32_t nsacr_bits(const struct gic_word *w, unsigned least)
{
    uint32_t bits = 0;
    for (unsigned n = 0; n < 32; n++) bits |= (uint32_t)(nsacr_field(w, n) >= least) << n;
    return bits;
}

static void exchange(uint32_t *field, uint32_t allowed, bool read, uint64_t *value)
{
    if (read) *value = *field & allowed;
    else *field = (*field & ~allowed) | ((uint32_t)*value & allowed);
}

/* Registers of one bit an interrupt: read shows `now`, a one written sets or clears in `field`. */
static void set_or_clear(uint32_t *field, uint32_t now, uint32_t visible, uint32_t writable, bool set, bool read,
                         uint64_t *value)
{
    if (read) *value = now & visible;
    else if (set) *field |= (uint32_t)*value & writable;
    else *field &= ~((uint32_t)*value & writable);
}

static void priorities(struct gic *g, unsigned pe, unsigned intid, unsigned size, bool secure, bool read,
                       uint64_t *value)
{
    uint64_t out = 0;
    for (unsigned i = 0; i < size && gic_implements(g, intid + i); i++) {
        uint8_t *p = gic_priority(g, pe, intid + i);
        bool ours = secure || gic_group_of(g, pe, intid + i) == GIC_G1NS;
        uint8_t v = (uint8_t)(*value >> (8 * i));
        if (!ours) continue;
        if (read) out |= (uint64_t)(secure ? *p : (uint8_t)(*p << 1)) << (8 * i);
        else *p = (secure ? v : (0x80 | v >> 1)) & GIC_PRIORITY;
    }
    if (read) *value = out;
}

/* ICFGR: the high bit of each pair says edge. SGIs are edge and stay so. */
static void configuration(struct gic_word *w, unsigned half, bool sgis, uint32_t allowed, bool read, uint64_t *value)
{
    uint32_t out = 0;
    for (unsigned i = 0; i < 16; i++) {
        uint32_t bit = 1u << (half * 16 + i);
        if (!(allowed & bit)) continue;
        if (read) out |= (w->edge & bit) ? 2u << (2 * i) : 0;
        else if (!sgis) w->edge = (w->edge & ~bit) | ((*value >> (2 * i + 1)) & 1 ? bit : 0);
    }
    if (read) *value = out;
}

/*
 * IGROUPR to NSACR of INTIDs [first, end), at their offsets of 0x080 to 0xEFF; false where none of them is.
 * 32-bit accesses, and bytes of IPRIORITYR.
 */
bool gic_banks(struct gic *g, unsigned pe, unsigned first, unsigned end, uint32_t offset, unsigned size, bool secure,
               bool read, uint64_t *value)
{
    if (offset >= 0x400 && offset < 0x800) {
        unsigned intid = offset - 0x400;
        if (intid < first || intid >= end || (size != 1 && size != 4)) return false;
        priorities(g, pe, intid, size, secure, read, value);
        if (!read) gic_changed(g);
        return true;
    }
    if (size != 4) return false;
    bool pairs = (offset >= 0xC00 && offset < 0xD00) || (offset >= 0xE00 && offset < 0xF00);
    bool bits = (offset >= 0x080 && offset < 0x400) || (offset >= 0xD00 && offset < 0xD80);
    if (!pairs && !bits) return false;
    unsigned intid = pairs ? (offset & 0xFF) * 4 : (offset & 0x7F) * 8;
    if (intid < first || intid >= end) return false;

    struct gic_word *w = gic_word(g, pe, intid / 32);
    unsigned in_word = end - intid / 32 * 32;
    uint32_t implemented = in_word >= 32 ? UINT32_MAX : (1u << in_word) - 1;
    uint32_t ours = implemented & (secure ? UINT32_MAX : gic_group_bits(w, GIC_G1NS));
    uint32_t also_set = ours, also_clear = ours;
    if (!secure && intid >= 32) {
        also_set |= implemented & nsacr_bits(w, NSACR_SET);
        also_clear |= implemented & nsacr_bits(w, NSACR_CLEAR);
    }
    uint32_t secure_only = secure ? implemented : 0;
    switch (pairs ? offset & 0xF00 : offset & 0xF80) {
    case 0x080: exchange(&w->group, secure_only, read, value); break;
    case 0x100: set_or_clear(&w->enable, w->enable, ours, ours, true, read, value); break;
    case 0x180: set_or_clear(&w->enable, w->enable, ours, ours, false, read, value); break;
    case 0x200: set_or_clear(&w->latch, gic_pending_bits(w), also_set, also_set, true, read, value); break;
    case 0x280: set_or_clear(&w->latch, gic_pending_bits(w), also_set, also_clear, false, read, value); break;
    case 0x300: set_or_clear(&w->active, w->active, also_clear, ours, true, read, value); break;
    case 0x380: set_or_clear(&w->active, w->active, also_clear, ours, false, read, value); break;
    case 0xC00: configuration(w, intid / 16 % 2, intid < 16, ours, read, value); break;
    case 0xD00: exchange(&w->modifier, secure_only, read, value); break;
    case 0xE00: exchange(&w->nsacr[intid / 16 % 2], secure && (intid >= 32 || intid < 16) ? UINT32_MAX : 0, read, value);
        break;
    default: return false;
    }
    if (!read) gic_changed(g);
    return true;
}

uint32_t gic_id_register(uint32_t offset)
{
    static const uint8_t ids[12] = {0x44, 0, 0, 0, 0x92, 0xB4, 0x3B /* PIDR2: ArchRev 3 */, 0, 0x0D, 0xF0, 0x05, 0xB1};
    return offset >= 0xFFD0 && offset < 0x10000 && !(offset & 3) ? ids[(offset - 0xFFD0) / 4] : 0;
}

static void control(struct gic *g, bool secure, bool read, uint64_t *value)
{
    uint64_t v = *value;
    if (read) {
        uint32_t ns = (g->enable >> GIC_G1NS) & 1;
        *value = secure ? (uint64_t)((g->enable >> GIC_G0 & 1) | ns << 1 | (g->enable >> GIC_G1S & 1) << 2 |
                                     CTLR_ARE_S | CTLR_ARE_NS | (g->e1nwf ? CTLR_E1NWF : 0))
                        : (uint64_t)(ns << 1 | CTLR_ARE_S); /* bit 4 of this view is ARE_NS */
        return;
    }
    unsigned ns = (v >> 1) & 1;
    if (secure) {
        g->enable = (uint8_t)((v & 1) << GIC_G0 | (v >> 2 & 1) << GIC_G1S);
        g->e1nwf = (v & CTLR_E1NWF) != 0;
    }
    g->enable = (uint8_t)((g->enable & ~(1u << GIC_G1NS)) | ns << GIC_G1NS);
    gic_changed(g);
}

static void route(struct gic *g, uint32_t offset, unsigned size, bool secure, bool read, uint64_t *value)
{
    const uint64_t writable = 0xFF80FFFFFFull;
    unsigned intid = (offset - 0x6000) / 8;
    bool high = offset & 4;
    if (!gic_implements(g, intid) || size < 4) return;
    if (!secure && gic_group_of(g, 0, intid) != GIC_G1NS &&
        nsacr_field(gic_word(g, 0, intid / 32), intid % 32) < NSACR_ROUTE)
        return;
    uint64_t *r = &g->router[intid];
    if (read) {
        *value = size == 8 ? *r : high ? *r >> 32 : (uint32_t)*r;
        return;
    }
    uint64_t v = size == 8 ? *value : high ? (*value << 32) | (uint32_t)*r : (*r & ~0xFFFFFFFFull) | (uint32_t)*value;
    *r = v & writable;
    gic_changed(g);
}

/* GICD_*; the value of a read must come in as 0. */
void gic_dist_access(struct gic *g, uint32_t offset, unsigned size, bool secure, bool read, uint64_t *value)
{
    if (offset >= 0x6100 && offset < 0x7FE0) {
        route(g, offset, size, secure, read, value);
        return;
    }
    if (gic_banks(g, 0, 32, 32 + g->config.spis, offset, size, secure, read, value)) return;
    if (size != 4) return;
    if (offset == 0x0000) {
        control(g, secure, read, value);
    } else if (read) {
        /* TYPER: RSS, A3V, 10 bits of INTID, two Security states; no LPIs, no messages, no extended range */
        if (offset == 0x0004) *value = (g->nwords - 1) | 1u << 10 | 9u << 19 | 1u << 24 | 1u << 26;
        else if (offset == 0x0008) *value = 0x0000043B; /* IIDR: Arm */
        else *value = gic_id_register(offset);
    }
}
