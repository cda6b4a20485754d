/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client.h"

#include "arch.h"

uint16_t client_service;
unsigned client_runs;

int32_t client_open(uint64_t buffers)
{
    struct smccc_regs r = ffa_call(SMC_FFA_VERSION, FFA_VERSION_1_1, 0, 0, 0, 0, 0, 0);
    if (r.x[0] != FFA_VERSION_1_1)
        return FFA_NOT_SUPPORTED;
    uint64_t rx = buffers + GRANULE;
    r = ffa_call(SMC_FFA_RXTX_MAP, buffers, rx, 1, 0, 0, 0, 0);
    if (ffa_error(&r))
        return ffa_error(&r);
    r = ffa_call(SMC_FFA_PARTITION_INFO_GET, 0, 0, 0, 0, FFA_INFO_DESCRIPTORS, 0, 0);
    if (ffa_error(&r))
        return ffa_error(&r);
    const struct ffa_partition_info *info = (const struct ffa_partition_info *)rx;
    client_service = info->id;
    r = ffa_call(SMC_FFA_RX_RELEASE, 0, 0, 0, 0, 0, 0, 0);
    if (ffa_error(&r))
        return ffa_error(&r);
    return client_service;
}

int32_t client_request(uint64_t payload[5])
{
    struct smccc_regs r = ffa_call(SMC_FFA_MSG_SEND_DIRECT_REQ, (uint64_t)FFA_HYPERVISOR_ID << 16 | client_service, 0,
                                   payload[0], payload[1], payload[2], payload[3], payload[4]);
    client_runs = 0;
    while (r.x[0] == SMC_FFA_YIELD || r.x[0] == SMC_FFA_INTERRUPT) {
        client_runs++;
        r = ffa_call(SMC_FFA_RUN, r.x[1], 0, 0, 0, 0, 0, 0);
    }
    if (r.x[0] != SMC_FFA_MSG_SEND_DIRECT_RESP)
        return ffa_error(&r) ? ffa_error(&r) : FFA_ABORTED;
    for (unsigned i = 0; i < 5; i++)
        payload[i] = r.x[3 + i];
    return 0;
}

uint64_t client_ask(enum service_request request, uint64_t a, uint64_t b, uint64_t c, uint64_t out[4])
{
    uint64_t payload[5] = {request, a, b, c, 0};
    if (client_request(payload))
        return SERVICE_UNKNOWN;
    for (unsigned i = 0; i < 4; i++)
        out[i] = payload[1 + i];
    return payload[0];
}
