/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A realm payload's console, exit and default exception handler, all by RSI_HOST_CALL. */
#include "realm.h"

struct realm_entry realm_entry;

uint64_t realm_host_call(uint32_t imm, uint64_t *gprs, unsigned count)
{
    /* On the stack: while one REC waits for its answer, another may call. */
    _Alignas(0x100) struct rsi_host_call call;
    memset(&call, 0, sizeof call);
    call.imm = imm;
    for (unsigned i = 0; i < count; i++)
        call.gprs[i] = gprs[i];
    uint64_t status = rsi_host_call((uint64_t)&call);
    for (unsigned i = 0; i < count; i++)
        gprs[i] = call.gprs[i];
    return status;
}

__attribute__((weak)) void console_write(const char *text, size_t length)
{
    while (length) {
        size_t some = length < CCAB_PUTS_MAX ? length : CCAB_PUTS_MAX;
        uint64_t gprs[1 + CCAB_PUTS_MAX / 8];
        gprs[0] = some;
        memcpy(&gprs[1], text, some);
        realm_host_call(CCAB_HC_PUTS, gprs, 1 + (unsigned)(some + 7) / 8);
        text += some;
        length -= some;
    }
}

__attribute__((weak)) _Noreturn void realm_exit(int code)
{
    uint64_t gprs[1] = {(uint64_t)code};
    for (;;)
        realm_host_call(CCAB_HC_EXIT, gprs, 1);
}

__attribute__((weak)) void realm_exception(struct frame *frame)
{
    print("exception (vector %lu) at PC 0x%lx: ESR_EL1 0x%lx, FAR_EL1 0x%lx\n", frame->vector, frame->elr,
          frame->esr, frame->far);
    realm_exit(REALM_EXCEPTION);
}

/* From crt0_realm.S, with the registers of the REC's entry. */
_Noreturn void realm_start(uint64_t x0, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4, uint64_t x5,
                            uint64_t x6);

_Noreturn void realm_start(uint64_t x0, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4, uint64_t x5,
                            uint64_t x6)
{
    realm_entry = (struct realm_entry){x0, x1, x2, x3, x4, x5, x6};
    realm_exit(main());
}
