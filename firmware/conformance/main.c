/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host that asks the RMM everything: makes the calls of the tables, and compares every register that comes back,
 * the exit record of REC_ENTER word by word, and the host's own memory.
 *
 * Not here: what only a second PE could meet, a REC that runs while the host calls, or a granule of the RMM that the
 * Secure world took. */
#include "conformance.h"

/* What stands in registers that are no argument of a call. */
#define FILLER(i) (0xf1110000f1110000UL + (i))
/* What the exit record holds before REC_ENTER. */
#define UNTOUCHED 0xa5a5a5a5a5a5a5a5UL
#define RECORD 0x800UL
#define WORDS (RECORD / 8)
#define SVE_HINT 0x10000UL

static const struct command {
    uint32_t fid;
    unsigned inputs;
    const char *name;
} commands[] = {
    {0xc4000150, 1, "RMI_VERSION"},
    {0xc4000151, 1, "RMI_GRANULE_DELEGATE"},
    {0xc4000152, 1, "RMI_GRANULE_UNDELEGATE"},
    {0xc4000153, 5, "RMI_DATA_CREATE"},
    {0xc4000154, 3, "RMI_DATA_CREATE_UNKNOWN"},
    {0xc4000155, 2, "RMI_DATA_DESTROY"},
    {0xc4000157, 1, "RMI_REALM_ACTIVATE"},
    {0xc4000158, 2, "RMI_REALM_CREATE"},
    {0xc4000159, 1, "RMI_REALM_DESTROY"},
    {0xc400015a, 3, "RMI_REC_CREATE"},
    {0xc400015b, 1, "RMI_REC_DESTROY"},
    {0xc400015c, 2, "RMI_REC_ENTER"},
    {0xc400015d, 4, "RMI_RTT_CREATE"},
    {0xc400015e, 3, "RMI_RTT_DESTROY"},
    {0xc400015f, 4, "RMI_RTT_MAP_UNPROTECTED"},
    {0xc4000161, 3, "RMI_RTT_READ_ENTRY"},
    {0xc4000162, 3, "RMI_RTT_UNMAP_UNPROTECTED"},
    {0xc4000164, 3, "RMI_PSCI_COMPLETE"},
    {0xc4000165, 1, "RMI_FEATURES"},
    {0xc4000166, 3, "RMI_RTT_FOLD"},
    {0xc4000167, 1, "RMI_REC_AUX_COUNT"},
    {0xc4000168, 3, "RMI_RTT_INIT_RIPAS"},
    {0xc4000169, 4, "RMI_RTT_SET_RIPAS"},
    {0, 0, "unknown function"},
};
#define COMMANDS (sizeof commands / sizeof commands[0])
#define UNKNOWN_COMMAND (COMMANDS - 1)

static const struct scene *const scenes[] = {
    &scene_interface, &scene_granules, &scene_realms, &scene_tables, &scene_data, &scene_ripas,
    &scene_shared,    &scene_recs,     &scene_run,    &scene_change, &scene_hostcall,
    &scene_psci,      &scene_off,      &scene_reset,
};
#define SCENES (sizeof scenes / sizeof scenes[0])

static unsigned cases, passed;
static unsigned per_command[COMMANDS];

static unsigned command_of(uint64_t fid)
{
    for (unsigned i = 0; i < UNKNOWN_COMMAND; i++)
        if ((uint32_t)(fid & ~SVE_HINT) == commands[i].fid)
            return i;
    return UNKNOWN_COMMAND;
}

/* Says the first thing that is wrong with a case. */
static int wrong(const struct row *row, int failed, const char *what, uint64_t index, uint64_t got, uint64_t expected)
{
    if (!failed)
        print("FAIL %s (%s): %s%lu is 0x%lx, expected 0x%lx\n", row->name, row->section, what, index, got, expected);
    return 1;
}

static int check_registers(const struct row *row, const struct smccc_regs *before, const struct smccc_regs *after)
{
    int failed = 0;
    int reads_entry = commands[command_of(row->fid)].fid == SMC_RMI_RTT_READ_ENTRY && row->status == RMI_SUCCESS;
    for (unsigned i = 0; i < 18; i++) {
        uint64_t expected = before->x[i];
        if (i == 0)
            expected = row->status;
        else if (i <= 3 || (i == 4 && reads_entry))
            expected = row->out[i - 1];
        if (expected != ANY && after->x[i] != resolve(expected))
            failed = wrong(row, failed, "X", i, after->x[i], resolve(expected));
    }
    return failed;
}

/* The record that REC_ENTER has written, or left alone. */
/* ICH_VMCR_EL2 out of reset with five priority bits: VBPR0 = 2, VBPR1 = 3, VFIQEn, which is RES1 (IHI 0069 12.4). */
#define VMCR_RESET 0x4c0008

static int check_record(const struct row *row, const uint64_t *record, int failed)
{
    uint64_t expected[WORDS];
    for (unsigned i = 0; i < WORDS; i++)
        expected[i] = row->status == RMI_SUCCESS ? 0 : UNTOUCHED;
    if (row->status == RMI_SUCCESS)
        expected[AT_VMCR / 8] = VMCR_RESET;
    for (unsigned i = 0; i < sizeof row->exit / sizeof row->exit[0]; i++) {
        if (row->exit[i].at == AT_VMCR) /* the realm did not run: nothing of its GIC is reported */
            expected[AT_VMCR / 8] = 0;
        expected[row->exit[i].at / 8] |= resolve(row->exit[i].value);
    }
    for (unsigned i = 0; i < WORDS; i++)
        if (record[i] != expected[i])
            failed = wrong(row, failed, "word of the exit record at ", i * 8, record[i], expected[i]);
    return failed;
}

static void run(const struct row *row)
{
    unsigned command = command_of(row->fid);
    if (row->before)
        row->before();
    uint64_t undo[sizeof row->set / sizeof row->set[0]];
    for (unsigned i = 0; i < sizeof row->set / sizeof row->set[0] && row->set[i].at; i++) {
        uint64_t *word = page(row->set[i].at);
        undo[i] = *word;
        *word = resolve(row->set[i].value);
    }
    uint64_t *record = 0;
    if (commands[command].fid == SMC_RMI_REC_ENTER && (row->args[1] == RUN || row->args[1] == RUN1)) {
        record = page(row->args[1] + RECORD);
        for (unsigned i = 0; i < WORDS; i++)
            record[i] = UNTOUCHED;
    }

    struct smccc_regs regs, before;
    for (unsigned i = 0; i < 18; i++)
        regs.x[i] = i && i <= commands[command].inputs ? resolve(row->args[i - 1]) : FILLER(i);
    regs.x[0] = row->fid;
    before = regs;
    smccc_smc(&regs);

    int failed = check_registers(row, &before, &regs);
    if (record)
        failed = check_record(row, record, failed);
    for (unsigned i = 0; i < sizeof row->see / sizeof row->see[0] && row->see[i].at; i++) {
        uint64_t got = *(volatile uint64_t *)page(row->see[i].at), expected = resolve(row->see[i].value);
        if (got != expected)
            failed = wrong(row, failed, "memory word ", i, got, expected);
    }
    for (unsigned i = sizeof row->set / sizeof row->set[0]; i-- > 0;)
        if (row->set[i].at)
            *(uint64_t *)page(row->set[i].at) = undo[i];
    cases++;
    passed += !failed;
    per_command[command]++;
}

int main(const struct ccab_host_info *info, uint64_t x1, uint64_t x2, uint64_t x3)
{
    (void)x1, (void)x2, (void)x3;
    if (!info || info->magic != CCAB_INFO_MAGIC || info->num_realms != 1)
        return 2;
    world_init(info);
    unsigned rows = 0;
    for (unsigned i = 0; i < SCENES; i++) {
        unsigned before = passed;
        if (scenes[i]->setup)
            scenes[i]->setup();
        for (unsigned j = 0; j < scenes[i]->count; j++)
            run(&scenes[i]->rows[j]);
        rows += scenes[i]->count;
        print("%-45s %3u of %3u\n", scenes[i]->name, passed - before, scenes[i]->count);
        if (scenes[i]->teardown)
            scenes[i]->teardown();
    }
    for (unsigned i = 0; i < COMMANDS; i++)
        print("%s: %u cases\n", commands[i].name, per_command[i]);
    int whole = world_is_whole();
    print("conformance: %lu granules delegated, %lu returned and zero%s\n", granule_counts.delegated,
          granule_counts.returned, whole ? "" : " (WRONG)");
    print("conformance: %u cases, %u passed\n", cases, passed);
    return whole && cases == rows && passed == cases ? 0 : 1;
}
