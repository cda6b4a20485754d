/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Host firmware's console, exit and default exception handler. */
#include "host.h"

uint64_t host_console;

void console_write(const char *text, size_t length)
{
    if (host_console)
        pl011_write(host_console, text, length);
}

_Noreturn void host_exit(int code)
{
    uint64_t block[2] = {CCAB_APPLICATION_EXIT, (uint64_t)code};
    register uint64_t operation __asm__("x0") = CCAB_SYS_EXIT_EXTENDED;
    register uint64_t *parameter __asm__("x1") = block;
    __asm__ volatile("hlt #0xf000" : "+r"(operation) : "r"(parameter) : "memory");
    for (;;)
        __asm__ volatile("wfi");
}

__attribute__((weak)) void host_exception(struct frame *frame)
{
    print("host: exception (vector %lu) at PC 0x%lx: ESR_EL2 0x%lx, FAR_EL2 0x%lx\n", frame->vector, frame->elr,
          frame->esr, frame->far);
    host_exit(HOST_EXCEPTION);
}

/* From crt0_host.S, with the registers of the machine's entry. */
_Noreturn void host_start(const struct ccab_host_info *info, uint64_t x1, uint64_t x2, uint64_t x3);

_Noreturn void host_start(const struct ccab_host_info *info, uint64_t x1, uint64_t x2, uint64_t x3)
{
    if (info && info->magic == CCAB_INFO_MAGIC)
        host_console = info->console_pa;
    host_exit(main(info, x1, x2, x3));
}
