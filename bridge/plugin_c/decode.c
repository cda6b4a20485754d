/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A64 loads and stores, as far as the syndrome and FAR of a Data Abort need them (Arm ARM C4.1.94, "Loads and
 * Stores", and ESR_ELx, "ISS encoding for an exception from a Data Abort").
 *
 * ISS.ISV is valid for loads and stores of a single general-purpose register, acquire and release forms included,
 * but not for exclusives, for forms with writeback, for atomics, pairs or SIMD&FP registers.
 *
 * A word that the architecture leaves unallocated is not a load or store here: it raises UNDEF before it touches
 * memory.
 */
#include <string.h>

#include "cca_types.h"

#define BITS(insn, lo, n) (((insn) >> (lo)) & ((1u << (n)) - 1))
#define BIT(insn, n) (((insn) >> (n)) & 1u)

struct regs {
    const uint64_t *x;
    uint64_t sp, pc;
};

static uint64_t sign_extend(uint32_t v, unsigned bits)
{
    uint64_t sign = UINT64_C(1) << (bits - 1);

    return (v ^ sign) - sign;
}

static uint64_t base(const struct regs *r, uint32_t insn)
{
    unsigned rn = BITS(insn, 5, 5);

    return rn == 31 ? r->sp : r->x[rn];
}

static void found(struct cca_ldst *o, uint64_t addr, uint32_t bytes, bool write)
{
    o->is_ldst = 1;
    o->addr_known = 1;
    o->addr = addr;
    o->bytes = bytes;
    o->write = write;
}

/* ISS fields of a single general-purpose register. */
static void syndrome(struct cca_ldst *o, uint32_t insn, unsigned size, bool sse, bool sf, bool ar)
{
    o->isv = 1;
    o->sas = (uint8_t)size;
    o->srt = (uint8_t)BITS(insn, 0, 5);
    o->sse = sse;
    o->sf = sf;
    o->ar = ar;
}

/* Pre-indexed forms leave the address in the base register, post-indexed ones what comes after it. */
static void writes_back(struct cca_ldst *o, uint32_t insn, uint64_t base)
{
    o->writeback = 1;
    o->rn = (uint8_t)BITS(insn, 5, 5);
    o->base = base;
}

/* size and opc as the single-register forms share them: opc 0 stores, 1 loads, 2 and 3 load with sign. */
static void single(struct cca_ldst *o, uint32_t insn, uint64_t addr, unsigned size, unsigned opc, bool ar)
{
    found(o, addr, 1u << size, opc == 0);
    syndrome(o, insn, size, opc >= 2, opc == 2 || (opc < 2 && size == 3), ar);
}

static void prefetch(struct cca_ldst *o, uint64_t addr)
{
    found(o, addr, 1, false);
    o->prefetch = 1;
}

static void simd(struct cca_ldst *o, uint64_t addr, uint32_t bytes, unsigned sas, bool write)
{
    found(o, addr, bytes, write);
    o->simd = 1;
    o->sas = (uint8_t)sas;
}

/* Exclusives, LDAR/STLR, CAS, CASP. */
static void exclusive(struct cca_ldst *o, uint32_t insn, const struct regs *r)
{
    unsigned size = BITS(insn, 30, 2);
    bool o2 = BIT(insn, 23), load = BIT(insn, 22), o1 = BIT(insn, 21), o0 = BIT(insn, 15);
    bool no_rt2 = BITS(insn, 10, 5) == 31;
    uint64_t addr = base(r, insn);

    if (o2 && !o1) {
        /* LDAR and STLR, and with o0 clear LDLAR and STLLR, whose ordering is limited to a LORegion */
        single(o, insn, addr, size, load, true);
        return;
    }
    if (o1 && (o2 || size < 2)) {
        if (!no_rt2)
            return;
        if (!o2)
            size += 2; /* CASP: the size field holds 0 or 1 for pairs of words or doublewords */
        found(o, addr, (o2 ? 1u : 2u) << size, true);
        o->atomic = 1;
        o->ar = load || o0;
    } else {
        found(o, addr, (o1 ? 2u : 1u) << size, !load);
        o->exclusive = 1;
        o->ar = o0;
    }
    o->sas = (uint8_t)size;
}

/* LD1 to LD4 and ST1 to ST4, whole registers. */
static void multiple_structures(struct cca_ldst *o, uint32_t insn, const struct regs *r)
{
    /* by opcode: how many registers, 0 for unallocated; the structures of LD1 have one element each */
    static const uint8_t registers[16] = {[0] = 4, [2] = 4, [4] = 3, [6] = 3, [7] = 1, [8] = 2, [10] = 2};
    unsigned opcode = BITS(insn, 12, 4), size = BITS(insn, 10, 2);
    bool quad = BIT(insn, 30), post = BIT(insn, 23), one_element = opcode & 2;

    if (!registers[opcode] || BIT(insn, 21) || (!post && BITS(insn, 16, 5)))
        return;
    if (size == 3 && !quad && !one_element)
        return;
    simd(o, base(r, insn), registers[opcode] * (quad ? 16u : 8u), size, !BIT(insn, 22));
}

/* The same for one lane, or one structure to all lanes. */
static void single_structure(struct cca_ldst *o, uint32_t insn, const struct regs *r)
{
    unsigned scale = BITS(insn, 14, 2), size = BITS(insn, 10, 2);
    unsigned elements = (BIT(insn, 13) << 1 | BIT(insn, 21)) + 1;
    bool load = BIT(insn, 22), s = BIT(insn, 12);

    if (!BIT(insn, 23) && BITS(insn, 16, 5))
        return;
    switch (scale) {
    case 1:
        if (size & 1)
            return;
        break;
    case 2:
        if ((size & 2) || (size == 1 && s))
            return;
        scale += size;
        break;
    case 3:
        if (!load || s)
            return;
        scale = size;
        break;
    default:
        break;
    }
    simd(o, base(r, insn), elements << scale, scale, !load);
}

static void literal(struct cca_ldst *o, uint32_t insn, const struct regs *r)
{
    unsigned opc = BITS(insn, 30, 2);
    uint64_t addr = r->pc + (sign_extend(BITS(insn, 5, 19), 19) << 2);

    if (BIT(insn, 26)) {
        if (opc != 3)
            simd(o, addr, 4u << opc, 2 + opc, false);
    } else if (opc == 3) {
        prefetch(o, addr);
    } else {
        single(o, insn, addr, opc == 1 ? 3 : 2, opc == 2 ? 2 : 1, false);
    }
}

/* LDAPUR, STLUR */
static void unscaled_ordered(struct cca_ldst *o, uint32_t insn, const struct regs *r)
{
    unsigned size = BITS(insn, 30, 2), opc = BITS(insn, 22, 2);

    if (BIT(insn, 21) || BITS(insn, 10, 2) || (size == 3 && opc >= 2) || (size == 2 && opc == 3))
        return;
    single(o, insn, base(r, insn) + sign_extend(BITS(insn, 12, 9), 9), size, opc, true);
}

static void pair(struct cca_ldst *o, uint32_t insn, const struct regs *r)
{
    unsigned opc = BITS(insn, 30, 2), mode = BITS(insn, 23, 2);
    bool vector = BIT(insn, 26), load = BIT(insn, 22);
    unsigned scale = vector ? 2 + opc : 2 + (opc >> 1);
    uint64_t addr = base(r, insn), offset = sign_extend(BITS(insn, 15, 7), 7) << scale;

    /* opc 1 of the general registers is LDPSW, which has no non-temporal form, and STGP */
    if (opc == 3 || (!vector && opc == 1 && (!load || mode == 0)))
        return;
    if (mode != 1)
        addr += offset;
    if (vector) {
        simd(o, addr, 2u << scale, scale, !load);
        return;
    }
    found(o, addr, 2u << scale, !load);
    o->sas = (uint8_t)scale;
    o->sse = opc == 1;
    o->pair = 1;
    o->srt = (uint8_t)BITS(insn, 0, 5);
    o->srt2 = (uint8_t)BITS(insn, 10, 5);
    if (mode & 1)
        writes_back(o, insn, mode == 1 ? addr + offset : addr);
}

static void atomic(struct cca_ldst *o, uint32_t insn, const struct regs *r)
{
    unsigned size = BITS(insn, 30, 2), opc = BITS(insn, 12, 3);
    bool acquire = BIT(insn, 23), release = BIT(insn, 22), o3 = BIT(insn, 15);

    if (o3 && opc == 4 && acquire && !release) { /* LDAPR */
        single(o, insn, base(r, insn), size, 1, true);
        return;
    }
    if (o3 && opc != 0)
        return;
    found(o, base(r, insn), 1u << size, true);
    o->atomic = 1;
    o->sas = (uint8_t)size;
    o->ar = acquire || release;
}

/*
 * LDRAA, LDRAB: the base holds a pointer authentication code, so that only a base without one gives the whole
 * address; of the others the low bits are right.
 */
static void authenticated(struct cca_ldst *o, uint32_t insn, const struct regs *r)
{
    uint64_t addr = base(r, insn);
    uint64_t top = addr >> 47;

    if (BITS(insn, 30, 2) != 3)
        return;
    single(o, insn, addr + (sign_extend(BIT(insn, 22) << 9 | BITS(insn, 12, 9), 10) << 3), 3, 1, false);
    o->isv = !BIT(insn, 11);
    o->addr_known = top == 0 || top == 0x1FFFF;
}

/* Forms with one register: immediate, register offset, unprivileged. */
static void register_forms(struct cca_ldst *o, uint32_t insn, const struct regs *r)
{
    unsigned size = BITS(insn, 30, 2), opc = BITS(insn, 22, 2), kind = BITS(insn, 10, 2);
    bool vector = BIT(insn, 26), immediate = BIT(insn, 24), writeback = false, unpriv = false;
    unsigned scale = vector ? (opc & 2) << 1 | size : size;
    uint64_t addr = base(r, insn);

    if (vector && scale > 4)
        return;
    if (immediate) {
        addr += (uint64_t)BITS(insn, 10, 12) << scale;
    } else if (!BIT(insn, 21)) {
        writeback = kind & 1;
        unpriv = kind == 2;
        if (kind != 1)
            addr += sign_extend(BITS(insn, 12, 9), 9);
        if (unpriv && vector)
            return;
    } else if (kind == 2) {
        unsigned option = BITS(insn, 13, 3), rm = BITS(insn, 16, 5);
        uint64_t offset = r->x[rm];

        if (!(option & 2))
            return;
        if (option == 2)
            offset = (uint32_t)offset;
        else if (option == 6)
            offset = sign_extend((uint32_t)offset, 32);
        addr += offset << (BIT(insn, 12) ? scale : 0);
    } else {
        if (vector)
            return;
        if (kind == 0)
            atomic(o, insn, r);
        else
            authenticated(o, insn, r);
        return;
    }

    if (vector) {
        simd(o, addr, 1u << scale, scale, !(opc & 1));
    } else if (size == 3 && opc >= 2) {
        if (opc == 2 && !writeback && !unpriv)
            prefetch(o, addr);
    } else if (!(size == 2 && opc == 3)) {
        single(o, insn, addr, size, opc, false);
        o->isv = !writeback;
        o->unpriv = unpriv;
        if (writeback)
            writes_back(o, insn, kind == 1 ? addr + sign_extend(BITS(insn, 12, 9), 9) : addr);
    }
}

void cca_decode_ldst(uint32_t insn, const uint64_t x[32], uint64_t sp, uint64_t pc, struct cca_ldst *out)
{
    const struct regs r = {.x = x, .sp = sp, .pc = pc};

    memset(out, 0, sizeof *out);
    if ((insn & 0xFFFFFFE0u) == 0xD50B7420u) { /* DC ZVA; DCZID_EL0.BS = 4 */
        found(out, x[insn & 31], 64, true);
        out->dc_zva = 1;
        return;
    }
    if ((insn & 0x9E000000u) == 0x84000000u) { /* SVE memory; the stores are the group 111 */
        out->is_ldst = 1;
        out->simd = 1;
        out->write = BITS(insn, 29, 3) == 7;
        return;
    }
    if (!BIT(insn, 27) || BIT(insn, 25))
        return;

    switch (BITS(insn, 28, 2)) {
    case 0:
        if (!BIT(insn, 26)) {
            if (!BIT(insn, 24))
                exclusive(out, insn, &r);
        } else if (!BIT(insn, 31)) {
            if (BIT(insn, 24))
                single_structure(out, insn, &r);
            else
                multiple_structures(out, insn, &r);
        }
        break;
    case 1:
        if (!BIT(insn, 24))
            literal(out, insn, &r);
        else if (!BIT(insn, 26))
            unscaled_ordered(out, insn, &r);
        break;
    case 2:
        pair(out, insn, &r);
        break;
    case 3:
        register_forms(out, insn, &r);
        break;
    }
}
