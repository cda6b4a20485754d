/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other PEs of the machine, each with a stack of its own. */
#include "psci.h"
#include "stage1.h"
#include "vmm.h"

#define TABLES 16
#define STACK_PAGES 4
#define MAX_PES 64
#define GICD_SIZE 0x10000UL

/* What a PE finds at the top of its stack. */
struct start {
    void (*entry)(const struct start *start); /* host_secondary_start looks for it here */
    uint32_t pe;
    void (*work)(uint32_t pe, void *argument);
    void *argument;
};

static struct stage1 s1;
static uint64_t tops[MAX_PES]; /* of the stacks */
static uint32_t started, finished;

static void map(uint64_t base, uint64_t size, uint64_t attributes)
{
    if (size && !s1_map(&s1, base, base, size, attributes | S1_EL2)) {
        print("host: too few tables for stage 1 of EL2\n");
        host_exit(VMM_NO_MEMORY);
    }
}

/* One to one, so that memory is Normal: exclusives need not work on Device memory. */
static void stage1_on(const struct ccab_host_info *info)
{
    s1_init(&s1, (void *)pool_take(TABLES), TABLES);
    for (uint32_t i = 0; i < info->num_banks; i++)
        map(info->bank_base[i], info->bank_size[i], S1_CODE);
    map(info->gicd_pa, info->gicd_pa ? GICD_SIZE : 0, S1_MMIO);
    map(info->gicr_pa, info->gicr_pa ? info->num_cpus * info->gicr_stride : 0, S1_MMIO);
    map(host_console, host_console ? GRANULE : 0, S1_MMIO);
    for (uint32_t i = 0; i < info->num_realms; i++)
        map(ccab_realm(info, i)->console_pa, ccab_realm(info, i)->console_pa ? GRANULE : 0, S1_MMIO);
    s1_enable_el2(&s1);
}

static _Noreturn void secondary(const struct start *start)
{
    s1_enable_el2(&s1);
    start->work(start->pe, start->argument);
    vmm_lock();
    finished++;
    vmm_unlock();
    psci_cpu_off();
    host_exit(VMM_STUCK);
}

void pes_restart(const struct ccab_host_info *info, uint32_t pe)
{
    started++;
    int64_t status = psci_cpu_on(ccab_mpidr(info)[pe], (uint64_t)host_secondary_start, tops[pe]);
    if (status != PSCI_SUCCESS) {
        print("host: PSCI_CPU_ON of PE %u = %ld\n", pe, status);
        host_exit(VMM_STUCK);
    }
}

void pes_start(const struct ccab_host_info *info, void (*work)(uint32_t pe, void *argument), void *argument)
{
    if (info->num_cpus <= 1)
        return;
    if (info->num_cpus > MAX_PES) {
        print("host: %u PEs, expected at most %u\n", info->num_cpus, MAX_PES);
        host_exit(VMM_STUCK);
    }
    stage1_on(info);
    vmm_pes = info->num_cpus;
    for (uint32_t pe = 1; pe < info->num_cpus; pe++) {
        tops[pe] = pool_take(STACK_PAGES) + STACK_PAGES * GRANULE - 64;
        *(struct start *)tops[pe] = (struct start){secondary, pe, work, argument};
        /* The PE reads it with its MMU off. */
        __asm__ volatile("dc cvac, %0\n dsb sy" ::"r"(tops[pe]) : "memory");
        pes_restart(info, pe);
    }
}

void pes_wait(const struct ccab_host_info *info)
{
    while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) != started)
        __asm__ volatile("yield" ::: "memory");
    /* Only the way from there to CPU_OFF is left. */
    for (uint32_t pe = 1; pe < info->num_cpus; pe++)
        while (psci_affinity_info(ccab_mpidr(info)[pe], 0) != PSCI_AFFINITY_OFF)
            __asm__ volatile("yield" ::: "memory");
}
