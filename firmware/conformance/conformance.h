/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of rmm-abi.md as tables: each row is one SMC, with all that must come back.
 *
 * Expectations are written by hand.  What a row cannot know, an address, stands in it as a symbol: RD, or RD + 0x800.
 * Rows of a scene run in order; a row that succeeds changes the world for those that follow. */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include "vmm.h"

/* A symbol: its number in bits 47:32, an offset in bits 31:0, biased so that it may be negative. */
#define SYMBOL(id) (0x5eedUL << 48 | (uint64_t)(id) << 32 | 0x80000000UL)

#define GRANULES 128
#define FOLDABLE 512

/* Granules next to each other, the first one aligned to all of them. */
#define G(n) SYMBOL(n)
#define RD G(0)
#define ROOT G(1)
#define L1 G(2) /* tables of the protected half */
#define L2 G(3)
#define L3 G(4)
#define U1 G(5) /* tables of the unprotected half */
#define U2 G(6)
#define U3 G(7)
#define REC0 G(8)
#define REC1 G(9)
#define REC2 G(10)
#define DATA0 G(11)
#define DATA1 G(12)
#define SPARE G(13)
#define SPARE1 G(14)
#define RD2 G(15)
#define ROOT2 G(16) /* 16 of them, aligned to their size */
#define AUX0 G(32)  /* 16 of each */
#define AUX1 G(48)
#define AUX2 G(64)
#define REC3 G(80)
#define AUX3 G(81)
#define PLAIN G(100) /* never delegated */

enum {
    SYM_PLACES = GRANULES,
    SYM_BLOCK,
    SYM_NS,
    SYM_PARAMS,
    SYM_RECP0,
    SYM_RECP1,
    SYM_RECP2,
    SYM_RECP3,
    SYM_RUN,
    SYM_RUN1,
    SYM_MMIO,
    SYM_SECURE,
    SYM_ROOT_WORLD,
    SYM_RMM,
    SYM_DRAM_FIRST,
    SYM_DRAM_LAST,
    SYM_DRAM_END,
    SYM_START,
    SYM_STACK,
    SYM_END,
    SYM_ANY = 0xffff,
};
#define BLOCK SYMBOL(SYM_BLOCK)   /* 512 granules, aligned to their size */
#define NS SYMBOL(SYM_NS)         /* pages of the host */
#define PARAMS SYMBOL(SYM_PARAMS) /* RmiRealmParams of a realm that can be created of RD and ROOT */
#define RECP0 SYMBOL(SYM_RECP0)   /* RmiRecParams of REC 0, 1, .. */
#define RECP1 SYMBOL(SYM_RECP1)
#define RECP2 SYMBOL(SYM_RECP2)
#define RECP3 SYMBOL(SYM_RECP3)
#define RUN SYMBOL(SYM_RUN) /* RmiRecRun */
#define RUN1 SYMBOL(SYM_RUN1)
#define MMIO SYMBOL(SYM_MMIO)
#define SECURE SYMBOL(SYM_SECURE)
#define ROOT_WORLD SYMBOL(SYM_ROOT_WORLD)
#define RMM SYMBOL(SYM_RMM)
#define DRAM_FIRST SYMBOL(SYM_DRAM_FIRST)
#define DRAM_LAST SYMBOL(SYM_DRAM_LAST)
#define DRAM_END SYMBOL(SYM_DRAM_END)
#define START SYMBOL(SYM_START) /* of the puppet: where REC 1 starts, and its context id */
#define STACK SYMBOL(SYM_STACK)
#define ANY SYMBOL(SYM_ANY) /* an output that the rule leaves open */

struct word {
    uint64_t at;
    uint64_t value;
};

#define AT_VMCR 0x390

struct row {
    const char *name;
    const char *section;
    uint64_t fid;
    uint64_t args[5];
    uint64_t status;
    uint64_t out[4];      /* X1..X4; X4 counts for RMI_RTT_READ_ENTRY alone */
    struct word set[10];  /* stored in pages of the host before the call, and undone after it */
    struct word exit[12]; /* words of RmiRecExit, by offset; all others are zero, but for ICH_VMCR_EL2 */
    struct word see[2];   /* words of the host's memory after the call */
    void (*before)(void);
};

struct scene {
    const char *name;
    const struct row *rows;
    unsigned count;
    void (*setup)(void);
    void (*teardown)(void);
};

extern const struct scene scene_interface, scene_granules, scene_realms, scene_tables, scene_data, scene_ripas,
    scene_shared, scene_recs, scene_run, scene_change, scene_hostcall, scene_psci, scene_off, scene_reset;

/* ---- world.c ---- */

void world_init(const struct ccab_host_info *info);
uint64_t resolve(uint64_t value);
/* Gives SYM_START and SYM_STACK their values. */
void world_puppet(uint64_t start, uint64_t stack);
/* The host's page of a symbol. */
void *page(uint64_t symbol);
void delegate(uint64_t first, unsigned count);
/* Undelegates, and checks that they are zero. */
void undelegate(uint64_t first, unsigned count);
/* Every granule and page can be read and written by the host. */
int world_is_whole(void);

/* Fixtures: a new realm of RD and ROOT, 40 bits wide, start level 0; its tables L1, L2 and L3 for the 2 MB at RAM. */
void realm_new(void);
void realm_new_with_tables(void);
void realm_end(void);
void realm_end_with_tables(void);
/* A realm with the puppet at RAM, 2 MB of which are RIPAS RAM, and with tables for pages at SHARED; REC0 runnable,
 * REC1 and REC2 off.  It is activated and has made its first host call. */
void puppet_start(void);
void puppet_end(void);
/* Another realm, RD2 of ROOT2, with REC3. */
void other_realm(void);
void other_realm_end(void);

/* ---- what the tables are written in ---- */

#define INPUT RMI_ERROR_INPUT
#define REALM(index) (RMI_ERROR_REALM | (index) << 8)
#define REC RMI_ERROR_REC
#define RTT(level) (RMI_ERROR_RTT | (level) << 8)
#define UNKNOWN SMC_UNKNOWN

#define MB 0x100000UL
#define GB 0x40000000UL
#define RAM 0x80000000UL      /* IPA, 2 GB */
#define SHARED 0x8000000000UL /* the unprotected half of 40 bits */
#define IPA_END 0x10000000000UL

#define EMPTY RMI_RIPAS_EMPTY
#define IS_RAM RMI_RIPAS_RAM
#define DESTROYED RMI_RIPAS_DESTROYED

/* READ_ENTRY: level where the walk stops, state, descriptor, RIPAS. */
#define ENTRY(level, state, desc, ripas) .out = {level, RMI_##state, desc, ripas}

/* Rows for a granule argument that must be refused wherever it stands: ROW(name, address, status). */
#define BAD_ADDRESS(ROW, good)                                                                               \
    ROW(" is not aligned", (good) + 0x800), ROW(" is unaligned by a byte", (good) + 1), ROW(" is a device", MMIO),    \
        ROW(" is Root memory", ROOT_WORLD), ROW(" is Secure memory", SECURE), ROW(" is the RMM's memory", RMM),       \
        ROW(" is beyond the PA space", 1UL << 52)

/* What REC_ENTER reads, and what it writes. */
#define FLAGS(value) {RUN, value}
#define IN(i, value) {RUN + 0x200 + 8 * (i), value}
#define AT(field, value) {offsetof(struct rmi_rec_exit, field), value}
#define OUT(i, value) {offsetof(struct rmi_rec_exit, gprs) + 8 * (i), value}
#define SYNC(syndrome) AT(esr, syndrome)
/* The puppet's report. */
#define REPORT AT(exit_reason, RMI_EXIT_HOST_CALL), AT(imm, PUPPET_CALL)
#define REPORT_FAULT(syndrome, address) REPORT, OUT(8, 1), OUT(9, syndrome), OUT(10, address)

#define SCENE(variable, text, set_up, tear_down)                                                             \
    const struct scene variable = {text, rows, sizeof rows / sizeof rows[0], set_up, tear_down}

#endif
