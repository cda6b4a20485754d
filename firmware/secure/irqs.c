/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts of two worlds on one PE: the service's own reach it whoever runs, the host's stop the service. */
#include "client.h"
#include "gic.h"
#include "vmm.h"

#define VECTOR_IRQ 5 /* current EL, SP_ELx */
#define HCR_TO_EL2 (1UL << 31 | 1UL << 5 | 1UL << 4 | 1UL << 3)
#define SGI_BASE 0x10000UL
#define TIMES 8
#define SPIN 20000UL

static struct vmm_realm realm;
static volatile uint64_t own; /* interrupts of the host */
static unsigned steps, failed;

void host_exception(struct frame *frame)
{
    if (frame->vector != VECTOR_IRQ) {
        print("host: exception (vector %lu) at PC 0x%lx: ESR_EL2 0x%lx\n", frame->vector, frame->elr, frame->esr);
        host_exit(HOST_EXCEPTION);
    }
    uint64_t intid = icc_read(ICC_IAR1_EL1) & 0xffffff;
    if (intid >= GIC_SPECIAL)
        return;
    own += intid == GIC_PPI_CNTP;
    write_sysreg(cntp_ctl_el0, 0UL);
    isb();
    icc_write(ICC_EOIR1_EL1, intid);
    isb();
}

static void step(const char *what, int ok)
{
    steps++;
    failed += !ok;
    print("host: %-60s %s\n", what, ok ? "ok" : "WRONG");
}

struct count {
    uint64_t taken, handed, strange, left;
};

static struct count count(void)
{
    struct count c = {0};
    uint64_t out[4];
    if (client_ask(SERVICE_INTERRUPTS, 0, 0, 0, out) == SERVICE_OK)
        c = (struct count){out[0], out[1], out[2], out[3]};
    return c;
}

static int arm(uint64_t sgi_frame, uint64_t ticks, uint64_t times)
{
    uint64_t out[4];
    return client_ask(SERVICE_TIMER, sgi_frame, ticks, times, out) == SERVICE_OK;
}

static void wait_ticks(uint64_t ticks)
{
    uint64_t until = read_sysreg(cntpct_el0) + ticks;
    while (read_sysreg(cntpct_el0) < until)
        ;
}

static void while_the_host_runs(uint64_t frame, uint64_t ticks)
{
    step("the service enables its own timer's interrupt", arm(frame, ticks, TIMES));
    wait_ticks(2 * TIMES * ticks);
    struct count c = count();
    step("it takes each while the host computes", c.taken == TIMES && c.left == 0);
    step("each by FFA_INTERRUPT", c.handed == TIMES && c.strange == 0);
    step("it takes one while the host waits for its own", arm(frame, ticks, 1));
    write_sysreg(cntp_tval_el0, 4 * ticks);
    write_sysreg(cntp_ctl_el0, 1UL);
    isb();
    while (!own)
        __asm__ volatile("dsb sy\n wfi\n msr daifclr, #2\n isb\n msr daifset, #2" ::: "memory");
    c = count();
    step("which the host then takes", c.taken == TIMES + 1 && own == 1);
    step("the host's view of it is RAZ", !(mmio_read32(frame + 0x100) >> 29 & 1)); /* GICR_ISENABLER0 */
}

static void while_the_service_runs(uint64_t frame, uint64_t ticks)
{
    uint64_t out[4];
    struct count before = count();
    step("masked, it waits for the request's end", arm(frame, 1, 1) &&
             client_ask(SERVICE_SPIN, SPIN, 0, 0, out) == SERVICE_OK && out[0] == SPIN && out[1] == 0);
    step("then it is handed over", count().handed == before.handed + 1);
    step("unmasked, the service takes it within the request",
         arm(frame, ticks, 1) && client_ask(SERVICE_SPIN, SPIN, 1, 0, out) == SERVICE_OK && out[1] == 1);
    step("by its own vector", count().handed == before.handed + 1);
}

/* A direct request that the host's timer stops: FFA_INTERRUPT, the host takes it, FFA_RUN goes on. */
static void preempted(uint64_t frame, uint64_t ticks)
{
    uint64_t stops = 0, before = own, out[4];
    (void)out;
    write_sysreg(cntp_tval_el0, ticks);
    write_sysreg(cntp_ctl_el0, 1UL);
    isb();
    struct smccc_regs r = ffa_call(SMC_FFA_MSG_SEND_DIRECT_REQ, (uint64_t)FFA_HYPERVISOR_ID << 16 | client_service, 0,
                                   SERVICE_SPIN, SPIN, 0, 0, 0);
    struct smccc_regs busy = r;
    while (r.x[0] == SMC_FFA_INTERRUPT) {
        stops++;
        __asm__ volatile("msr daifclr, #2\n isb\n msr daifset, #2" ::: "memory");
        busy = ffa_call(SMC_FFA_MSG_SEND_DIRECT_REQ, (uint64_t)FFA_HYPERVISOR_ID << 16 | client_service, 0,
                        SERVICE_ECHO, 0, 0, 0, 0);
        r = ffa_call(SMC_FFA_RUN, r.x[1], 0, 0, 0, 0, 0, 0);
    }
    step("the host's timer preempts the request: FFA_INTERRUPT", stops == 1 && own == before + 1);
    step("meanwhile the service is BUSY", ffa_error(&busy) == FFA_BUSY);
    step("FFA_RUN brings its answer", r.x[0] == SMC_FFA_MSG_SEND_DIRECT_RESP && r.x[3] == SERVICE_OK && r.x[4] == SPIN);

    /* The same, and the service's own interrupt comes while it is stopped: it has it when it goes on. */
    struct count c = count();
    arm(frame, 3 * ticks, 1);
    write_sysreg(cntp_tval_el0, ticks);
    write_sysreg(cntp_ctl_el0, 1UL);
    isb();
    r = ffa_call(SMC_FFA_MSG_SEND_DIRECT_REQ, (uint64_t)FFA_HYPERVISOR_ID << 16 | client_service, 0, SERVICE_SPIN, SPIN,
                 1, 0, 0);
    int stopped = r.x[0] == SMC_FFA_INTERRUPT;
    __asm__ volatile("msr daifclr, #2\n isb\n msr daifset, #2" ::: "memory");
    wait_ticks(6 * ticks);
    /* The host has its own interrupts all the while. */
    write_sysreg(cntp_tval_el0, ticks);
    write_sysreg(cntp_ctl_el0, 1UL);
    isb();
    before = own;
    while (own == before)
        __asm__ volatile("dsb sy\n wfi\n msr daifclr, #2\n isb\n msr daifset, #2" ::: "memory");
    r = ffa_call(SMC_FFA_RUN, r.x[1], 0, 0, 0, 0, 0, 0);
    step("an interrupt of a service that is stopped waits for it", stopped && r.x[0] == SMC_FFA_MSG_SEND_DIRECT_RESP &&
             r.x[3] == SERVICE_OK && r.x[5] == 1 && count().taken == c.taken + 1);
}

static void while_a_realm_runs(const struct ccab_host_info *info, uint64_t frame, uint64_t ticks)
{
    struct count before = count();
    must("RMI_VERSION", rmi_version(RMI_REVISION, 0, 0));
    realm_build(&realm, ccab_realm(info, 0), 0);
    step("armed before a realm is entered", arm(frame, ticks, TIMES));
    realms_run_on(&realm, 1, 0, 1);
    realm_destroy(&realm);
    struct count c = count();
    print("host: the realm ended with %d; %lu FIQ exits, %lu interrupts\n", realm.exit_code, realm.fiq_exits,
          c.taken - before.taken);
    step("the realm comes out with FIQ", realm.fiq_exits > 0 && realm.fiq_exits <= TIMES);
    step("and the service has each", c.taken == before.taken + TIMES && c.handed == before.handed + TIMES);
    step("the realm is none the wiser", realm.exit_code == 0);
}

int main(const struct ccab_host_info *info, uint64_t x1, uint64_t x2, uint64_t x3)
{
    (void)x1, (void)x2, (void)x3;
    if (!info || info->magic != CCAB_INFO_MAGIC || !info->gicd_pa || !info->num_realms)
        return 2;
    pool_init(info->pool_pa, info->pool_size);
    step("FF-A", client_open(pool_take(2)) > 0);
    uint64_t gicr = gic_redistributor(info, ccab_mpidr(info)[0]), frame = gicr + SGI_BASE;
    uint64_t ticks = read_sysreg(cntfrq_el0) / 100000; /* 10 microseconds */
    gic_init(info->gicd_pa);
    write_sysreg(hcr_el2, HCR_TO_EL2);
    isb();
    gic_init_pe(gicr);
    while_the_host_runs(frame, ticks);
    while_the_service_runs(frame, ticks);
    preempted(frame, ticks);
    while_a_realm_runs(info, frame, ticks);
    step("no strange interrupt", count().strange == 0);
    print("host: %u steps, %u failed\n", steps, failed);
    return failed ? 1 : 0;
}
