/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The conformance host's realm: does what the host tells it to, and reports (puppet.h). */
#include "puppet.h"

#include "realm.h"

#define REPORT 11

static uint64_t faults, fault_esr, fault_far;
static volatile int calling;

void realm_exception(struct frame *frame)
{
    faults++;
    fault_esr = frame->esr;
    /* An Unknown exception has none. */
    fault_far = ESR_EC(frame->esr) == EC_UNKNOWN ? 0 : frame->far;
    if (calling)
        frame->elr = frame->x[30];
    else
        frame->elr += 4;
}

#define LOAD(instruction) __asm__ volatile(instruction : "+r"(value) : "r"(address) : "memory")
#define STORE(instruction) __asm__ volatile(instruction ::"r"(value), "r"(address) : "memory")

static uint64_t load(uint64_t address, uint64_t kind)
{
    uint64_t value = PUPPET_UNLOADED;
    switch (kind) {
    case PUPPET_B:
        LOAD("ldrb %w0, [%1]");
        break;
    case PUPPET_H:
        LOAD("ldrh %w0, [%1]");
        break;
    case PUPPET_W:
        LOAD("ldr %w0, [%1]");
        break;
    case PUPPET_X:
        LOAD("ldr %0, [%1]");
        break;
    case PUPPET_SB_X:
        LOAD("ldrsb %0, [%1]");
        break;
    case PUPPET_SB_W:
        LOAD("ldrsb %w0, [%1]");
        break;
    case PUPPET_SW_X:
        LOAD("ldrsw %0, [%1]");
        break;
    case PUPPET_XZR:
        LOAD("ldr xzr, [%1]");
        break;
    case PUPPET_PAIR: {
        uint64_t second;
        __asm__ volatile("ldp %0, %1, [%2]" : "+r"(value), "=&r"(second) : "r"(address) : "memory");
        break;
    }
    }
    return value;
}

static void store(uint64_t address, uint64_t kind, uint64_t value)
{
    switch (kind) {
    case PUPPET_B:
        STORE("strb %w0, [%1]");
        break;
    case PUPPET_H:
        STORE("strh %w0, [%1]");
        break;
    case PUPPET_W:
        STORE("str %w0, [%1]");
        break;
    case PUPPET_X:
        STORE("str %0, [%1]");
        break;
    case PUPPET_XZR:
        STORE("str xzr, [%1]");
        break;
    case PUPPET_PAIR:
        STORE("stp %0, %0, [%1]");
        break;
    }
}

static void obey(const uint64_t *order, uint64_t *report)
{
    switch (order[0]) {
    case PUPPET_SMC: {
        struct smccc_regs regs = {{0}};
        for (unsigned i = 0; i < 8; i++)
            regs.x[i] = order[1 + i];
        smccc_smc(&regs);
        for (unsigned i = 0; i < 8; i++)
            report[i] = regs.x[i];
        break;
    }
    case PUPPET_LOAD:
        report[0] = load(order[1], order[2]);
        break;
    case PUPPET_STORE:
        store(order[1], order[2], order[3]);
        break;
    case PUPPET_CALL_CODE:
        calling = 1;
        ((void (*)(void))order[1])();
        calling = 0;
        break;
    case PUPPET_WFI:
        __asm__ volatile("wfi");
        break;
    case PUPPET_WFE:
        __asm__ volatile("wfe");
        break;
    case PUPPET_HVC:
        __asm__ volatile("hvc #0");
        break;
    case PUPPET_SGI: {
        /* The host sees the register's number. */
        register uint64_t value __asm__("x5") = order[1];
        __asm__ volatile("msr S3_0_C12_C11_5, %0" ::"r"(value) : "memory");
        break;
    }
    case PUPPET_STATE:
        report[0] = read_sysreg(sctlr_el1);
        report[1] = read_sysreg(mpidr_el1);
        report[2] = read_sysreg(CurrentEL);
        report[3] = read_sysreg(daif);
        break;
    }
}

/* One host call after another; the report that the first one carries is given. */
static _Noreturn void serve(struct rsi_host_call *call, uint64_t first, uint64_t second)
{
    memset(call, 0, sizeof *call);
    call->imm = PUPPET_CALL;
    call->gprs[0] = first;
    call->gprs[1] = second;
    for (;;) {
        uint64_t report[REPORT] = {0};
        report[0] = rsi_host_call((uint64_t)call);
        faults = fault_esr = fault_far = 0;
        obey(call->gprs, report);
        report[8] = faults;
        report[9] = fault_esr;
        report[10] = fault_far;
        for (unsigned i = 0; i < 31; i++)
            call->gprs[i] = i < REPORT ? report[i] : 0;
    }
}

static _Alignas(256) struct rsi_host_call calls[2];

static void second_main(void)
{
    serve(&calls[1], PUPPET_SECOND, read_sysreg(mpidr_el1));
}

/* realm_secondary_start takes the function from the address where the stack ends. */
static _Alignas(16) struct {
    uint8_t stack[0x1000];
    void (*function)(void);
} second = {.function = second_main};

int main(void)
{
    serve(&calls[0], (uint64_t)realm_secondary_start, (uint64_t)&second.function);
}
