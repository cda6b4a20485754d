/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts at NS-EL2: every PE takes SGIs from PE 0, its own timers' PPIs, an SPI that is routed to it; goes off and
 * comes back by PSCI.  PE 0 prints a line for each. */
#include "gic.h"
#include "psci.h"
#include "vmm.h"

#define MAX_PES 8
#define VECTOR_IRQ 5 /* current EL, SP_ELx */
#define HCR_TO_EL2 (1UL << 31 | 1UL << 5 | 1UL << 4 | 1UL << 3) /* RW, AMO, IMO, FMO */
#define TIMER_ON 1UL
#define TIMER_STATUS 4UL
#define TIMERS 3
#define SPI 40

enum sgi { SGI_PING, SGI_PONG, SGI_ALL, SGI_TIMERS, SGI_SPI, SGI_OFF };

struct pe {
    uint64_t mpidr;
    uint64_t gicr;
    uint32_t index;
    volatile uint32_t sgis[GIC_SGIS]; /* taken */
    volatile uint32_t spis;
    volatile uint32_t other; /* interrupts that nobody asked for */
    volatile uint32_t early; /* timers whose time had not come */
    volatile uint32_t timers;
    volatile uint32_t order[TIMERS]; /* INTIDs as they came */
    volatile uint32_t spi_wanted;
    volatile uint32_t online; /* times that it came up */
};

static const struct ccab_host_info *machine;
static struct pe pes[MAX_PES];
static uint32_t num;
static volatile uint32_t answers;
static unsigned made, passed;

static int check_equal(uint64_t got, uint64_t expected, const char *what)
{
    made++;
    passed += got == expected;
    if (got != expected)
        print("  FAIL %s: 0x%lx, expected 0x%lx\n", what, got, expected);
    return got == expected;
}

/* ---- interrupts ---- */

static void timer(struct pe *pe, uint32_t intid)
{
    uint64_t control;
    switch (intid) {
    case GIC_PPI_CNTP:
        control = read_sysreg(cntp_ctl_el0);
        write_sysreg(cntp_ctl_el0, 0);
        break;
    case GIC_PPI_CNTV:
        control = read_sysreg(cntv_ctl_el0);
        write_sysreg(cntv_ctl_el0, 0);
        break;
    default:
        control = read_sysreg(cnthp_ctl_el2);
        write_sysreg(cnthp_ctl_el2, 0);
    }
    isb();
    pe->early += !(control & TIMER_STATUS);
    if (pe->timers < TIMERS)
        pe->order[pe->timers] = intid;
    pe->timers++;
}

void host_exception(struct frame *frame)
{
    struct pe *pe = (struct pe *)read_sysreg(tpidr_el2);
    if (frame->vector != VECTOR_IRQ) {
        print("irqs: exception (vector %lu) at PC 0x%lx: ESR_EL2 0x%lx, FAR_EL2 0x%lx\n", frame->vector, frame->elr,
              frame->esr, frame->far);
        host_exit(HOST_EXCEPTION);
    }
    uint32_t intid = (uint32_t)icc_read(ICC_IAR1_EL1) & 0xffffff;
    if (intid >= GIC_SPECIAL && intid < 1024)
        return;
    if (intid == GIC_PPI_CNTP || intid == GIC_PPI_CNTV || intid == GIC_PPI_CNTHP)
        timer(pe, intid);
    else if (intid < GIC_SGIS)
        pe->sgis[intid]++;
    else if (intid == SPI && pe->spi_wanted)
        pe->spis++;
    else
        pe->other++;
    icc_write(ICC_EOIR1_EL1, intid);
    isb();
}

/* Takes what is pending, once. */
static void take(void)
{
    __asm__ volatile("msr daifclr, #2\n isb\n msr daifset, #2\n isb" ::: "memory");
}

static void wait_for(const volatile uint32_t *what, uint32_t value)
{
    /* Masked, so that nothing is taken between the look and the WFI, which a pending interrupt ends all the same. */
    while (*what < value) {
        __asm__ volatile("dsb sy\n wfi" ::: "memory");
        take();
    }
}

static void answer(void)
{
    vmm_lock();
    answers++;
    vmm_unlock();
    gic_send(SGI_PONG, pes[0].mpidr);
}

static void wait_for_answers(void)
{
    wait_for(&answers, num - 1);
    answers = 0;
}

/* ---- what each PE does ---- */

static void on(struct pe *pe)
{
    write_sysreg(tpidr_el2, pe);
    write_sysreg(hcr_el2, HCR_TO_EL2);
    write_sysreg(cntvoff_el2, 0);
    isb();
    gic_init_pe(pe->gicr);
    pe->online++;
}

/* All three timers, CNTHP last: they must come in the order of their deadlines. */
static void run_timers(struct pe *pe)
{
    uint64_t now = read_sysreg(cntpct_el0);
    pe->timers = 0;
    write_sysreg(cnthp_cval_el2, now + 6000000);
    write_sysreg(cntv_cval_el0, now + 4000000);
    write_sysreg(cntp_cval_el0, now + 2000000);
    write_sysreg(cnthp_ctl_el2, TIMER_ON);
    write_sysreg(cntv_ctl_el0, TIMER_ON);
    write_sysreg(cntp_ctl_el0, TIMER_ON);
    isb();
    wait_for(&pe->timers, TIMERS);
}

static void secondary(uint32_t index, void *argument)
{
    struct pe *pe = &pes[index];
    (void)argument;
    uint32_t pings = pe->sgis[SGI_PING], all = pe->sgis[SGI_ALL], timers = pe->sgis[SGI_TIMERS];
    uint32_t spi = pe->sgis[SGI_SPI], off = pe->sgis[SGI_OFF];
    on(pe);
    answer();
    wait_for(&pe->sgis[SGI_PING], pings + 1);
    answer();
    wait_for(&pe->sgis[SGI_ALL], all + 1);
    answer();
    wait_for(&pe->sgis[SGI_TIMERS], timers + 1);
    run_timers(pe);
    answer();
    wait_for(&pe->sgis[SGI_SPI], spi + 1);
    pe->spi_wanted = 1;
    answer();
    wait_for(&pe->spis, pe->online);
    pe->spi_wanted = 0;
    answer();
    wait_for(&pe->sgis[SGI_OFF], off + 1);
}

static void check_timers(const struct pe *pe)
{
    check_equal(pe->timers, TIMERS, "each timer's interrupt comes once");
    check_equal(pe->order[0], GIC_PPI_CNTP, "CNTP first");
    check_equal(pe->order[1], GIC_PPI_CNTV, "then CNTV");
    check_equal(pe->order[2], GIC_PPI_CNTHP, "then CNTHP");
    check_equal(pe->early, 0, "none before its time");
}

/* An SPI below the priority mask waits, and is still there when the mask is lifted. */
static void masked(struct pe *pe)
{
    uint64_t gicd = machine->gicd_pa;
    gic_route(gicd, SPI, pe->mpidr);
    icc_write(ICC_PMR_EL1, GIC_PRIORITY);
    isb();
    pe->spi_wanted = 1;
    gic_pend(gicd, SPI);
    dsb();
    take();
    check_equal(pe->spis, 0, "an interrupt of the mask's priority is not taken");
    check_equal((uint64_t)gic_pending(gicd, SPI), 1, "but pending");
    gic_unpend(gicd, SPI);
    check_equal((uint64_t)gic_pending(gicd, SPI), 0, "until that is withdrawn");
    gic_pend(gicd, SPI);
    icc_write(ICC_PMR_EL1, GIC_PMR_ALL);
    isb();
    check_equal(icc_read(ICC_HPPIR1_EL1), SPI, "with the mask lifted it is the highest pending");
    wait_for(&pe->spis, 1);
    check_equal(pe->spis, 1, "and is taken, once");
    check_equal((uint64_t)gic_pending(gicd, SPI), 0, "then it is pending no more");
    check_equal(icc_read(ICC_RPR_EL1), 0xff, "no priority is active after the end of interrupt");
    pe->spi_wanted = 0;
}

/* Everything that the other PEs do between CPU_ON and CPU_OFF. */
static void round_of_all(uint32_t round)
{
    uint64_t gicd = machine->gicd_pa;
    wait_for_answers();
    for (uint32_t i = 1; i < num; i++) {
        check_equal(pes[i].online, round, "the PE is up");
        check_equal((uint64_t)psci_affinity_info(pes[i].mpidr, 0), PSCI_AFFINITY_ON, "PSCI says so");
        gic_send(SGI_PING, pes[i].mpidr);
    }
    wait_for_answers();
    gic_send_others(SGI_ALL);
    wait_for_answers();
    check_equal(pes[0].sgis[SGI_ALL], 0, "an SGI to all others does not come to its sender");
    gic_send_others(SGI_TIMERS);
    wait_for_answers();
    gic_send_others(SGI_SPI);
    wait_for_answers();
    for (uint32_t i = 1; i < num; i++) {
        gic_route(gicd, SPI, pes[i].mpidr);
        gic_pend(gicd, SPI);
        wait_for(&answers, i);
        check_equal(pes[i].spis, round, "the SPI goes where it is routed");
    }
    answers = 0;
    gic_send_others(SGI_OFF);
    pes_wait(machine);
    for (uint32_t i = 1; i < num; i++) {
        check_equal((uint64_t)psci_affinity_info(pes[i].mpidr, 0), PSCI_AFFINITY_OFF, "the PE is off");
        check_timers(&pes[i]);
    }
}

static void report(const struct pe *pe)
{
    uint32_t sgis = 0;
    for (unsigned i = 0; i < GIC_SGIS; i++)
        sgis += pe->sgis[i];
    check_equal(pe->other, 0, "no interrupt that nobody asked for");
    print("irqs: PE %u, affinity 0x%lx: up %u times, %u SGIs, timers %u %u %u, %u SPIs\n", pe->index, pe->mpidr,
          pe->online, sgis, pe->order[0], pe->order[1], pe->order[2], pe->spis);
}

static int find_pes(void)
{
    num = machine->num_cpus;
    for (uint32_t i = 0; i < num; i++) {
        pes[i].index = i;
        pes[i].mpidr = ccab_mpidr(machine)[i];
        pes[i].gicr = gic_redistributor(machine, pes[i].mpidr);
        if (!check_equal(pes[i].gicr != 0, 1, "a PE has a redistributor"))
            return 0;
    }
    return 1;
}

int main(const struct ccab_host_info *info, uint64_t x1, uint64_t x2, uint64_t x3)
{
    (void)x1, (void)x2, (void)x3;
    if (!info || info->magic != CCAB_INFO_MAGIC || info->version != CCAB_INFO_VERSION)
        return 2;
    if (!info->gicd_pa || !info->gicr_pa || info->num_cpus > MAX_PES) {
        print("irqs: a machine with a GIC and at most %u PEs is needed\n", MAX_PES);
        return 2;
    }
    machine = info;
    pool_init(info->pool_pa, info->pool_size);
    unsigned spis = gic_init(info->gicd_pa);
    if (!find_pes() || !check_equal(spis > SPI - GIC_SPIS, 1, "the distributor has enough SPIs"))
        return 1;
    on(&pes[0]);
    run_timers(&pes[0]);
    check_timers(&pes[0]);
    masked(&pes[0]);
    if (num > 1) {
        pes_start(info, secondary, 0);
        round_of_all(1);
        for (uint32_t i = 1; i < num; i++)
            pes_restart(info, i);
        round_of_all(2);
        check_equal((uint64_t)psci_cpu_on(pes[0].mpidr, (uint64_t)host_secondary_start, 0), (uint64_t)PSCI_ALREADY_ON,
                    "PE 0 is on already");
        check_equal((uint64_t)psci_cpu_on(0xfe, (uint64_t)host_secondary_start, 0), (uint64_t)PSCI_INVALID_PARAMETERS,
                    "there is no PE 0xfe");
    }
    for (uint32_t i = 0; i < num; i++)
        report(&pes[i]);
    print("irqs: %u of %u checks passed\n", passed, made);
    return passed != made;
}
