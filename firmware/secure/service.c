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

void secure_exception(struct frame *frame)
{
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
    case SERVICE_CALL:
        payload[0] = monitor_call(in[0], in[1], out);
        break;
    default:
        payload[0] = SERVICE_UNKNOWN;
    }
}
