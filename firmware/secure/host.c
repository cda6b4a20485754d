/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host that talks to the service of the Secure world: discovery, messages, a granule that changes hands and back. */
#include "client.h"
#include "vmm.h"

#define GPF_READ ((uint64_t)EC_DABORT_SAME << 26 | 1UL << 25 | 0x28UL)

static unsigned steps, failed;
static struct frame fault; /* the last exception */
static unsigned faults;

void host_exception(struct frame *frame)
{
    fault = *frame;
    faults++;
    frame->elr += 4;
    frame->x[0] = 0;
}

static uint64_t __attribute__((noinline)) read_word(uint64_t pa)
{
    register uint64_t value __asm__("x0");
    __asm__ volatile("ldr x0, [%1]" : "=r"(value) : "r"(pa) : "memory");
    return value;
}

static void step(const char *what, int ok)
{
    steps++;
    failed += !ok;
    print("host: %-48s %s\n", what, ok ? "ok" : "WRONG");
}

static int succeeds(uint64_t fid, uint64_t x1, uint64_t x2, uint64_t x3)
{
    struct smccc_regs r = ffa_call(fid, x1, x2, x3, 0, 0, 0, 0);
    return (uint32_t)r.x[0] == SMC_FFA_SUCCESS_32;
}

static int fails(int32_t status, uint64_t fid, uint64_t x1, uint64_t x2, uint64_t x3)
{
    struct smccc_regs r = ffa_call(fid, x1, x2, x3, 0, 0, 0, 0);
    return ffa_error(&r) == status;
}

static void discover(uint64_t buffers)
{
    struct smccc_regs r = ffa_call(SMC_FFA_VERSION, 0x20000, 0, 0, 0, 0, 0, 0);
    step("FFA_VERSION 2.0 is not supported", (int64_t)r.x[0] == FFA_NOT_SUPPORTED);
    r = ffa_call(SMC_FFA_VERSION, FFA_VERSION_1_1, 0, 0, 0, 0, 0, 0);
    print("host: FF-A %lu.%lu\n", r.x[0] >> 16, r.x[0] & 0xffff);
    step("FFA_VERSION 1.1", r.x[0] == FFA_VERSION_1_1);
    r = ffa_call(SMC_FFA_ID_GET, 0, 0, 0, 0, 0, 0, 0);
    step("FFA_ID_GET: the host is endpoint 0", r.x[0] == SMC_FFA_SUCCESS_32 && r.x[2] == FFA_HYPERVISOR_ID);
    step("FFA_FEATURES: direct requests", succeeds(SMC_FFA_FEATURES, SMC_FFA_MSG_SEND_DIRECT_REQ, 0, 0));
    step("FFA_FEATURES: no memory sharing", fails(FFA_NOT_SUPPORTED, SMC_FFA_FEATURES, 0x84000073UL, 0, 0));

    r = ffa_call(SMC_FFA_PARTITION_INFO_GET, 0, 0, 0, 0, FFA_INFO_COUNT, 0, 0);
    step("FFA_PARTITION_INFO_GET: one partition", r.x[0] == SMC_FFA_SUCCESS_32 && r.x[2] == 1);
    step("FFA_PARTITION_INFO_GET without a buffer is BUSY", fails(FFA_BUSY, SMC_FFA_PARTITION_INFO_GET, 0, 0, 0));
    uint64_t rx = buffers + GRANULE;
    step("FFA_RXTX_MAP", succeeds(SMC_FFA_RXTX_MAP, buffers, rx, 1));
    r = ffa_call(SMC_FFA_PARTITION_INFO_GET, 0, 0, 0, 0, FFA_INFO_DESCRIPTORS, 0, 0);
    const struct ffa_partition_info *info = (const struct ffa_partition_info *)rx;
    print("host: partition 0x%x: %u execution context, properties 0x%x, descriptor of %lu bytes\n", info->id,
          info->contexts, info->properties, r.x[3]);
    step("FFA_PARTITION_INFO_GET: its descriptor", r.x[0] == SMC_FFA_SUCCESS_32 && r.x[3] == sizeof *info);
    client_service = info->id;
    step("the buffer is the host's until it is released", fails(FFA_BUSY, SMC_FFA_PARTITION_INFO_GET, 0, 0, 0));
    step("FFA_RX_RELEASE", succeeds(SMC_FFA_RX_RELEASE, 0, 0, 0));
    step("FFA_RX_RELEASE again is DENIED", fails(FFA_DENIED, SMC_FFA_RX_RELEASE, 0, 0, 0));
}

static void talk(uint64_t buffer)
{
    uint64_t own = (uint64_t)client_service << 16 | FFA_HYPERVISOR_ID;
    step("a request in the partition's name is refused", fails(FFA_INVALID_PARAMETERS, SMC_FFA_MSG_SEND_DIRECT_REQ, own, 0, 0));
    step("a request to nobody is refused", fails(FFA_INVALID_PARAMETERS, SMC_FFA_MSG_SEND_DIRECT_REQ, 0x8002, 0, 0));
    step("FFA_MSG_WAIT is not the host's to call", fails(FFA_NOT_SUPPORTED, SMC_FFA_MSG_WAIT, 0, 0, 0));

    uint64_t out[4];
    uint64_t payload[5] = {SERVICE_ECHO, 0x0123456789abcdef, ~0UL, 1UL << 63, 42};
    int32_t status = client_request(payload);
    step("echo of four words", !status && payload[0] == SERVICE_OK && payload[1] == 0x0123456789abcdef &&
                                   payload[2] == ~0UL && payload[3] == 1UL << 63 && payload[4] == 42);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 2 * GRANULE / 8; i++)
        sum += ((volatile uint64_t *)buffer)[i] = i * i + 7;
    step("sum over two shared pages", client_ask(SERVICE_SUM, buffer, 2 * GRANULE, 0, out) == SERVICE_OK && out[0] == sum);
    step("three yields, three FFA_RUNs", client_ask(SERVICE_YIELD, 3, 0, 0, out) == SERVICE_OK && client_runs == 3);
}

static void granule(uint64_t pa)
{
    uint64_t out[4];
    volatile uint64_t *word = (volatile uint64_t *)pa;
    *word = 0x77;
    step("a word of the host's can be read", read_word(pa) == 0x77 && faults == 0);
    uint64_t result = client_ask(SERVICE_TAKE, pa, 0, 0, out);
    print("host: the service took 0x%lx\n", pa);
    step("the service takes the granule, and uses it", result == SERVICE_OK && out[1] == 0);
    uint64_t secret = out[0];
    uint64_t value = read_word(pa);
    print("host: reading it: ESR_EL2 0x%lx, FAR_EL2 0x%lx\n", fault.esr, fault.far);
    step("the host's read is a granule protection fault",
         faults == 1 && fault.esr == GPF_READ && fault.far == pa && value == 0);
    step("RMI_GRANULE_DELEGATE of it is ERROR_INPUT", rmi_granule_delegate(pa) == RMI_ERROR_INPUT);
    result = client_ask(SERVICE_TAKE, pa, 0, 0, out);
    step("it cannot be taken twice", result == SERVICE_REFUSED && (int64_t)out[0] == SIP_BAD_PAS);
    result = client_ask(SERVICE_SUM, pa, 8, 0, out);
    step("by a Non-secure address not even the service can", result == SERVICE_FAULT && ESR_FSC(out[0]) == 0x28);
    step("the secret is as it was", client_ask(SERVICE_CHECK, 0, 0, 0, out) == SERVICE_OK && out[1] == secret);
    result = client_ask(SERVICE_GIVE_BACK, out[2], 0, 0, out);
    step("the service's own memory is not to be given", result == SERVICE_REFUSED && (int64_t)out[0] == SIP_BAD_PAS);

    step("the service gives it back", client_ask(SERVICE_GIVE_BACK, pa, 0, 0, out) == SERVICE_OK);
    uint64_t left = 0;
    for (uint64_t i = 0; i < GRANULE / 8; i++)
        left |= word[i];
    step("it is the host's again, and zero", faults == 1 && left == 0);
    must("RMI_GRANULE_DELEGATE", rmi_granule_delegate(pa));
    result = client_ask(SERVICE_TAKE, pa, 0, 0, out);
    step("a Realm granule cannot be taken", result == SERVICE_REFUSED && (int64_t)out[0] == SIP_BAD_PAS);
    must("RMI_GRANULE_UNDELEGATE", rmi_granule_undelegate(pa));
}

int main(const struct ccab_host_info *info, uint64_t x1, uint64_t x2, uint64_t x3)
{
    (void)x1, (void)x2, (void)x3;
    if (!info || info->magic != CCAB_INFO_MAGIC)
        return 2;
    pool_init(info->pool_pa, info->pool_size);
    uint64_t buffers = pool_take(2);
    discover(buffers);
    talk(pool_take(2));
    granule(pool_take(1));
    step("FFA_RXTX_UNMAP", succeeds(SMC_FFA_RXTX_UNMAP, 0, 0, 0));
    uint64_t out[4];
    step("counters", client_ask(SERVICE_COUNTERS, 0, 0, 0, out) == SERVICE_OK && out[1] == 0);
    print("host: the service served %lu requests, met %lu faults and holds %lu granules\n", out[0], out[3], out[1]);
    print("host: %u steps, %u failed\n", steps, failed);
    return failed ? 1 : 0;
}
