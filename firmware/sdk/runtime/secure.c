/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A service's life: it initialises, waits for direct requests and answers them. */
#include "secure.h"

static uint16_t own_id;

_Noreturn void secure_abort(void)
{
    for (;;)
        ffa_call(SMC_FFA_ERROR, 0, (uint32_t)FFA_ABORTED, 0, 0, 0, 0, 0);
}

__attribute__((weak)) void secure_exception(struct frame *frame)
{
    (void)frame;
    secure_abort();
}

__attribute__((weak)) void secure_interrupt(void)
{
}

void secure_yield(void)
{
    ffa_call(SMC_FFA_YIELD, 0, 0, 0, 0, 0, 0, 0);
}

static struct smccc_regs wait(void)
{
    return ffa_call(SMC_FFA_MSG_WAIT, 0, 0, 0, 0, 0, 0, 0);
}

static struct smccc_regs answer(const struct smccc_regs *request)
{
    uint16_t sender = (uint16_t)(request->x[1] >> 16);
    uint64_t payload[5];
    for (unsigned i = 0; i < 5; i++)
        payload[i] = request->x[3 + i];
    secure_request(sender, payload);
    uint64_t fid = request->x[0] == SMC_FFA_MSG_SEND_DIRECT_REQ ? SMC_FFA_MSG_SEND_DIRECT_RESP
                                                                : SMC_FFA_MSG_SEND_DIRECT_RESP_32;
    return ffa_call(fid, (uint64_t)own_id << 16 | sender, 0, payload[0], payload[1], payload[2], payload[3],
                    payload[4]);
}

/* From crt0_secure.S. */
_Noreturn void secure_start(void);

_Noreturn void secure_start(void)
{
    struct smccc_regs r = ffa_call(SMC_FFA_VERSION, FFA_VERSION_1_1, 0, 0, 0, 0, 0, 0);
    if (r.x[0] != FFA_VERSION_1_1)
        secure_abort();
    own_id = (uint16_t)ffa_call(SMC_FFA_ID_GET, 0, 0, 0, 0, 0, 0, 0).x[2];
    int status = secure_init();
    if (status < 0)
        ffa_call(SMC_FFA_ERROR, 0, (uint32_t)status, 0, 0, 0, 0, 0);
    r = wait();
    for (;;) {
        switch (r.x[0]) {
        case SMC_FFA_MSG_SEND_DIRECT_REQ:
        case SMC_FFA_MSG_SEND_DIRECT_REQ_32:
            r = answer(&r);
            break;
        case SMC_FFA_INTERRUPT:
            secure_interrupt();
            r = wait();
            break;
        case SMC_FFA_RUN:
            r = wait();
            break;
        default: /* FFA_ERROR: a call of the service was refused */
            secure_abort();
        }
    }
}
