/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Types that the translation and decode units share. Nothing here knows the emulation engine. */
#ifndef CCA_TYPES_H
#define CCA_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* encoding of a system register: op0[15:14] op1[13:11] CRn[10:7] CRm[6:3] op2[2:0] */
#define CCA_SYSREG(op0, op1, crn, crm, op2) \
    ((uint32_t)(((op0) << 14) | ((op1) << 11) | ((crn) << 7) | ((crm) << 3) | (op2)))

/* Physical address spaces, numbered as the GPT encodes them (rmm-abi.md 13.5). */
enum cca_pas {
    CCA_PAS_SECURE = 0x8,
    CCA_PAS_NS = 0x9,
    CCA_PAS_ROOT = 0xA,
    CCA_PAS_REALM = 0xB,
};

enum cca_access { CCA_READ = 0, CCA_WRITE = 1, CCA_FETCH = 2 };

enum { CCA_PROT_R = 1, CCA_PROT_W = 2, CCA_PROT_X = 4 };

/* One stretch of RAM, identity of PA; regions are sorted by base and do not overlap. */
struct cca_region {
    uint64_t base;
    uint64_t size;
    uint8_t *host;
};

struct cca_gpc {
    uint64_t base;     /* PA of the level 0 table (GPTBR_EL3.BADDR << 12) */
    uint8_t enabled;   /* GPCCR_EL3.GPC */
    uint8_t pps_bits;  /* protected PA size in bits: 32, 36, 40, 42, 44, 48, 52 */
    uint8_t l0_bits;   /* level 0 region size in bits: 30, 34, 36, 39 */
    uint8_t pgs_bits;  /* granule size in bits: 12, 14, 16 */
};

/* Everything that belongs to the machine and not to one PE. */
struct cca_mem {
    struct cca_region *regions;
    size_t nregions;
    struct cca_gpc gpc;
};

/* The registers a translation depends on; one per execution context, kept up to date by its owner. */
struct cca_mmu {
    /* stage 1 of EL1&0, and of EL2 or, with E2H, EL2&0 */
    uint64_t sctlr_el1, tcr_el1, ttbr0_el1, ttbr1_el1, mair_el1;
    uint64_t sctlr_el2, tcr_el2, ttbr0_el2, ttbr1_el2, mair_el2;
    /* stage 2 of EL1&0: in force when s2_enabled; vtcr in the architecture's layout (T0SZ, SL0, TG0, PS, DS, SL2) */
    uint64_t vttbr, vtcr;
    uint64_t hcr_el2;      /* PTW, DC, FWB, TGE, E2H are looked at */
    uint8_t s2_enabled;
    uint8_t pas;           /* PAS of this security state's own memory: NS, REALM, SECURE */
    uint8_t realm;         /* Realm state: stage-2 NS bit (55) picks NS or Realm output PAS; stage-1 NS bit is RES0 */
    uint8_t pa_bits;       /* implemented PA size (ID_AA64MMFR0_EL1.PARange) */
    uint8_t hafdbs;        /* 0: none, 1: access flag (TCR.HA), 2: and dirty state (TCR.HD) */
    uint8_t pan;           /* PSTATE.PAN, sampled by the caller */
};

enum cca_fault_kind {
    CCA_FAULT_NONE = 0,
    CCA_FAULT_TRANSLATION,
    CCA_FAULT_ACCESS_FLAG,
    CCA_FAULT_PERMISSION,
    CCA_FAULT_ADDRESS_SIZE,
    CCA_FAULT_GPF,          /* granule protection fault */
    CCA_FAULT_GPC_WALK,     /* the GPT itself is invalid there: a GPC exception to EL3 */
    CCA_FAULT_EXTERNAL,     /* a table address that no RAM backs */
    CCA_FAULT_ALIGNMENT,
};

struct cca_fault {
    uint8_t kind;
    uint8_t stage;   /* 1 or 2; for a GPF the stage whose access was refused */
    int8_t level;    /* of the entry at fault; of the table whose fetch was refused */
    uint8_t s1ptw;   /* a stage-2 fault, or a GPF met in stage 2, while fetching a stage-1 descriptor */
    uint8_t on_walk; /* a GPF or external abort on a table fetch and not on the access itself */
    uint8_t fsc;     /* the architectural FSC, e.g. 0x07, 0x0B, 0x0F, 0x28, 0x24 + level, 0x14 + level */
    uint8_t gpc_level;
    uint64_t ipa;    /* with stage == 2 or s1ptw: the IPA */
    uint64_t pa;     /* the PA refused, where there is one */
};

struct cca_xlate {
    uint64_t pa;      /* of the address asked for, offset included */
    uint64_t ipa;
    uint64_t page;    /* bytes mapped by the smallest of the leaf sizes of the two stages (>= 4096) */
    uint8_t prot;     /* CCA_PROT_*: what this mapping allows at this privilege, both stages together */
    uint8_t pas;      /* output PAS */
    uint8_t attr;     /* stage-1 MAIR byte; 0x00 (Device-nGnRnE) with the MMU off for data, 0xFF-like as architected */
    uint8_t s2_memattr;
    uint8_t sh;
    uint8_t global;   /* nG == 0 */
    int8_t s1_level, s2_level; /* leaf levels, -2 where the stage is off */
};

enum cca_at_flags {
    CCA_AT_S1_ONLY = 1, /* AT S1*: result is the IPA; no stage-2 or GPC on the output, stage-2 and GPC on the walk */
    CCA_AT_NO_GPC = 2,  /* debugger look-ups */
    CCA_AT_NO_UPDATE = 4, /* never write descriptors (HAFDBS) */
};

/*
 * Translates va for an access at exception level `el` (0, 1, 2). `unpriv`: LDTR/STTR, use EL0 rights at EL1.
 * Returns true and fills *out, or false and fills *fault; touches nothing else (but for HAFDBS updates).
 */
bool cca_translate(const struct cca_mem *mem, const struct cca_mmu *mmu, uint64_t va, enum cca_access access,
                   int el, bool unpriv, unsigned flags, struct cca_xlate *out, struct cca_fault *fault);

/* Stage 2 alone, for an IPA (AT, tools). */
bool cca_stage2(const struct cca_mem *mem, const struct cca_mmu *mmu, uint64_t ipa, enum cca_access access,
                unsigned flags, struct cca_xlate *out, struct cca_fault *fault);

/* Granule protection check: the GPI at pa through the real tables. Returns true when `pas` may access pa. */
bool cca_gpc_check(const struct cca_mem *mem, uint64_t pa, uint8_t pas, uint8_t *gpi, struct cca_fault *fault);

/* Host pointer of RAM at pa with at least len bytes in the same region, or NULL. */
uint8_t *cca_ram(const struct cca_mem *mem, uint64_t pa, uint64_t len);

/* What one instruction word does to memory, as far as ESR.ISS and FAR need it. */
struct cca_ldst {
    uint8_t is_ldst;   /* a load, store, prefetch or atomic was recognised */
    uint8_t isv;       /* ISS.ISV: a single general-purpose register without writeback (ARM ARM, ISS for Data Abort) */
    uint8_t write;     /* writes memory (atomics and CAS: yes, ESR.WnR as the architecture says for them) */
    uint8_t atomic;    /* reads and writes */
    uint8_t sas;       /* log2 of the element size */
    uint8_t sse;
    uint8_t srt;
    uint8_t sf;
    uint8_t ar;        /* acquire/release */
    uint8_t unpriv;    /* LDTR/STTR family */
    uint8_t exclusive;
    uint8_t prefetch;
    uint8_t simd;
    uint8_t dc_zva;
    uint8_t addr_known; /* addr is valid (not so for SVE forms that are not decoded) */
    uint8_t pair;      /* two general-purpose registers: srt, srt2 */
    uint8_t srt2;
    uint8_t writeback; /* one or two general-purpose registers, and rn becomes base */
    uint8_t rn;
    uint32_t bytes;    /* whole footprint from addr, pairs and multi-register forms included */
    uint64_t addr;     /* effective address, before TBI stripping */
    uint64_t base;     /* what a writeback leaves in rn */
};
/* x: X0..X30 then XZR (x[31] = 0); sp: the current SP; pc: of the instruction. */
void cca_decode_ldst(uint32_t insn, const uint64_t x[32], uint64_t sp, uint64_t pc, struct cca_ldst *out);

#endif
