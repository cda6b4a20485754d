/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The service of the Secure world: what a trusted OS needs of the machine, each as a request, and attacks on the other
 * worlds for the attacker. */
#include "secure.h"

#include "probe.h"
#include "requests.h"

#define SUM_MAX (1UL << 20)

static struct {
    uint64_t served, held, faults;
} counters;
static uint64_t taken; /* PA of the granule taken last, 0 once it is given back */

int secure_init(void)
{
    struct stage1 *s1 = window_open(S1_CODE, s1_flush_el1);
    uint64_t start = (uint64_t)__image_start;
    if (!s1 || !s1_map(s1, start, start, (uint64_t)__image_end - start, S1_CODE))
        return FFA_NO_MEMORY;
    s1_enable_el1(s1);
    return 0;
}

/* ---- the service's own interrupt: the Secure timer, Secure Group 1 ---- */

#define VECTOR_IRQ 5 /* current EL, SP_ELx */
#define INTID_CNTPS 29
#define GICR_IGROUPR0 0x080
#define GICR_ISENABLER0 0x100
#define GICR_IGRPMODR0 0xd00
#define ICC_PMR_EL1 S3_0_C4_C6_0
#define ICC_IAR1_EL1 S3_0_C12_C12_0
#define ICC_EOIR1_EL1 S3_0_C12_C12_1
#define ICC_IGRPEN1_EL1 S3_0_C12_C12_7
#define CNTPS_TVAL_EL1 S3_7_C14_C2_0
#define CNTPS_CTL_EL1 S3_7_C14_C2_1
#define icc_read(name) read_sysreg(name)
#define icc_write(name, value) write_sysreg(name, value)

static struct {
    uint64_t taken, strange, left, ticks;
} interrupts;
static uint64_t handed; /* interrupts that came as FFA_INTERRUPT */

static void take_interrupt(void)
{
    uint64_t intid = icc_read(ICC_IAR1_EL1);
    if (intid >= 1020)
        return;
    interrupts.taken++;
    interrupts.strange += intid != INTID_CNTPS;
    if (interrupts.left && --interrupts.left)
        icc_write(CNTPS_TVAL_EL1, interrupts.ticks);
    else
        icc_write(CNTPS_CTL_EL1, 0UL);
    isb();
    icc_write(ICC_EOIR1_EL1, intid);
    isb();
}

void secure_interrupt(void)
{
    handed++;
    take_interrupt();
}

static uint64_t timer(uint64_t sgi_frame, uint64_t ticks, uint64_t times)
{
    if (sgi_frame & (GRANULE - 1) || sgi_frame >> 48 || !ticks || ticks >> 31 || !times)
        return SERVICE_INPUT;
    window_show(sgi_frame);
    mmio_write32(TARGET + GICR_IGROUPR0, mmio_read32(TARGET + GICR_IGROUPR0) & ~(1U << INTID_CNTPS));
    mmio_write32(TARGET + GICR_IGRPMODR0, mmio_read32(TARGET + GICR_IGRPMODR0) | 1U << INTID_CNTPS);
    mmio_write32(TARGET + GICR_ISENABLER0, 1U << INTID_CNTPS);
    icc_write(ICC_PMR_EL1, 0xf8UL);
    icc_write(ICC_IGRPEN1_EL1, 1UL);
    interrupts.left = times;
    interrupts.ticks = ticks;
    icc_write(CNTPS_TVAL_EL1, ticks);
    icc_write(CNTPS_CTL_EL1, 1UL);
    isb();
    return SERVICE_OK;
}

static uint64_t spin(uint64_t iterations, uint64_t unmasked, uint64_t *out)
{
    uint64_t before = interrupts.taken;
    if (unmasked)
        __asm__ volatile("msr daifclr, #2" ::: "memory");
    for (volatile uint64_t i = 0; i < iterations; i++)
        out[0]++;
    __asm__ volatile("msr daifset, #2" ::: "memory");
    out[1] = interrupts.taken - before;
    return SERVICE_OK;
}

void secure_exception(struct frame *frame)
{
    if (frame->vector == VECTOR_IRQ) {
        take_interrupt();
        return;
    }
    if (!probe_exception(frame))
        secure_abort();
    counters.faults++;
}

static uint64_t fault(uint64_t *out, const struct outcome *outcome)
{
    out[0] = outcome->esr;
    out[1] = outcome->far;
    return SERVICE_FAULT;
}

static uint64_t sum(uint64_t pa, uint64_t size, uint64_t *out)
{
    if ((pa | size) & 7 || size > SUM_MAX || pa >> 48)
        return SERVICE_INPUT;
    uint64_t total = 0;
    for (uint64_t at = 0; at < size; at += 8) {
        uint64_t offset = (pa + at) & (GRANULE - 1);
        if (at == 0 || offset == 0)
            window_show_ns((pa + at) & ~(GRANULE - 1));
        struct outcome word = probe_word(TARGET + offset);
        if (word.faults)
            return fault(out, &word);
        total += word.value;
    }
    out[0] = total;
    return SERVICE_OK;
}

/* FNV-1a of a Secure granule; 0 with *outcome filled when it cannot be read. */
static uint64_t checksum(uint64_t pa, struct outcome *outcome)
{
    window_show(pa);
    *outcome = probe_word(TARGET);
    return outcome->faults ? 0 : fnv1a((const void *)TARGET, GRANULE);
}

static uint64_t take(uint64_t pa, uint64_t *out)
{
    int64_t status = sip_granule_take(pa);
    if (status != SIP_OK) {
        out[0] = (uint64_t)status;
        return SERVICE_REFUSED;
    }
    counters.held++;
    taken = pa;
    out[1] = 0;
    for (enum access access = LOAD; access < ACCESSES; access++) {
        window_prepare(pa);
        out[1] += probe(access).faults;
    }
    volatile uint64_t *words = (volatile uint64_t *)TARGET;
    for (uint64_t i = 0; i < GRANULE / sizeof *words; i++)
        words[i] = 0x5ec2e75ec2e75ec2UL * (i + 1);
    struct outcome outcome;
    out[0] = checksum(pa, &outcome);
    return SERVICE_OK;
}

static uint64_t give_back(uint64_t pa, uint64_t *out)
{
    int64_t status = sip_granule_give_back(pa);
    if (status != SIP_OK) {
        out[0] = (uint64_t)status;
        return SERVICE_REFUSED;
    }
    counters.held--;
    if (taken == pa)
        taken = 0;
    return SERVICE_OK;
}

static uint64_t check(uint64_t *out)
{
    struct outcome outcome;
    out[0] = fnv1a(__image_start, (size_t)(__text_end - __image_start));
    out[1] = taken ? checksum(taken, &outcome) : 0;
    if (taken && outcome.faults)
        return fault(out, &outcome);
    out[2] = (uint64_t)__image_start;
    out[3] = (uint64_t)&counters & ~(GRANULE - 1);
    return SERVICE_OK;
}

static uint64_t attack(uint64_t pa, uint64_t access, uint64_t ns, uint64_t *out)
{
    if (pa & (GRANULE - 1) || pa >> 48 || access >= ACCESSES)
        return SERVICE_INPUT;
    if (ns)
        window_show_ns(pa);
    else
        window_show(pa);
    struct outcome outcome = probe((enum access)access);
    out[0] = outcome.esr;
    out[1] = outcome.far;
    out[2] = outcome.faults;
    out[3] = (uint64_t)refused((enum access)access, &outcome);
    return SERVICE_OK;
}

static uint64_t yield(uint64_t times, uint64_t *out)
{
    if (times > 1000)
        return SERVICE_INPUT;
    for (uint64_t i = 0; i < times; i++)
        secure_yield();
    out[0] = times;
    return SERVICE_OK;
}

static uint64_t monitor_call(uint64_t fid, uint64_t argument, uint64_t *out)
{
    /* Not those that would end this request by another door. */
    if (fid == SMC_FFA_ERROR || fid == SMC_FFA_MSG_SEND_DIRECT_RESP || fid == SMC_FFA_MSG_SEND_DIRECT_RESP_32)
        return SERVICE_INPUT;
    struct smccc_regs r = ffa_call(fid, argument, 0, 0, 0, 0, 0, 0);
    out[0] = r.x[0];
    out[1] = r.x[2];
    return SERVICE_OK;
}

void secure_request(uint16_t sender, uint64_t payload[5])
{
    (void)sender;
    uint64_t request = payload[0];
    uint64_t in[4] = {payload[1], payload[2], payload[3], payload[4]};
    uint64_t *out = payload + 1;
    counters.served++;
    if (request != SERVICE_ECHO)
        memset(out, 0, 4 * sizeof *out);
    switch (request) {
    case SERVICE_ECHO:
        payload[0] = SERVICE_OK;
        break;
    case SERVICE_SUM:
        payload[0] = sum(in[0], in[1], out);
        break;
    case SERVICE_TAKE:
        payload[0] = take(in[0], out);
        break;
    case SERVICE_GIVE_BACK:
        payload[0] = give_back(in[0], out);
        break;
    case SERVICE_CHECK:
        payload[0] = check(out);
        break;
    case SERVICE_COUNTERS:
        out[0] = counters.served;
        out[1] = counters.held;
        out[2] = read_sysreg(cntvct_el0);
        out[3] = counters.faults;
        payload[0] = SERVICE_OK;
        break;
    case SERVICE_PROBE:
        payload[0] = attack(in[0], in[1], in[2], out);
        break;
    case SERVICE_YIELD:
        payload[0] = yield(in[0], out);
        break;
    case SERVICE_TIMER:
        payload[0] = timer(in[0], in[1], in[2]);
        break;
    case SERVICE_SPIN:
        payload[0] = spin(in[0], in[1], out);
        break;
    case SERVICE_INTERRUPTS:
        out[0] = interrupts.taken;
        out[1] = handed;
        out[2] = interrupts.strange;
        out[3] = interrupts.left;
        payload[0] = SERVICE_OK;
        break;
    case SERVICE_CALL:
        payload[0] = monitor_call(in[0], in[1], out);
        break;
    default:
        payload[0] = SERVICE_UNKNOWN;
    }
}
