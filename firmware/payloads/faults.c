/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each kind of exception that a realm meets for a wrong access, with the exact syndrome. */
#include "check.h"
#include "stage1.h"

#define TABLES 12
#define MIB 0x100000UL

/* ESR_EL1: EC, IL = 1, then the ISS. */
#define DABORT(iss) ((uint64_t)EC_DABORT_SAME << 26 | 1UL << 25 | (iss))
#define IABORT(iss) ((uint64_t)EC_IABORT_SAME << 26 | 1UL << 25 | (iss))
#define WNR 0x40UL
#define EXTERNAL 0x210UL /* EA, FSC: synchronous external abort, not on a walk (rmm-abi.md §6.3) */
#define TRANSLATION_3 0x07UL
#define PERMISSION_3 0x0fUL
#define UNDEFINED (1UL << 25) /* EC 0, IL */

static uint64_t tables[TABLES * 512] __attribute__((aligned(0x1000)));
static struct stage1 s1;

static volatile unsigned taken;
static volatile uint64_t esr, far;

void realm_exception(struct frame *frame)
{
    taken++;
    esr = frame->esr;
    far = frame->far;
    if (ESR_EC(frame->esr) == EC_IABORT_SAME)
        frame->elr = frame->x[30]; /* back from the call */
    else if (ESR_EC(frame->esr) == EC_UNKNOWN || ESR_EC(frame->esr) == EC_DABORT_SAME)
        frame->elr += 4;
    else
        realm_exit(REALM_EXCEPTION);
}

static void load(uint64_t address)
{
    uint64_t value;
    __asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
}

static void store(uint64_t address)
{
    __asm__ volatile("str xzr, [%0]" ::"r"(address) : "memory");
}

static void call(uint64_t address)
{
    __asm__ volatile("blr %0" ::"r"(address) : "x30", "memory");
}

static void hypercall(uint64_t address)
{
    (void)address;
    __asm__ volatile("hvc #0" ::: "memory");
}

static const char *decode(uint64_t value)
{
    if (ESR_EC(value) == EC_UNKNOWN)
        return "undefined instruction";
    switch (ESR_FSC(value) & ~3UL) {
    case 0x04:
        return "translation fault";
    case 0x0c:
        return "permission fault";
    case 0x10:
        return "external abort";
    default:
        return "another fault";
    }
}

/* One line: what was done, what came of it; nothing but the wanted syndrome and address will do. */
static void expect(const char *what, void (*access)(uint64_t), uint64_t address, uint64_t wanted)
{
    int has_far = ESR_EC(wanted) != EC_UNKNOWN;
    taken = 0;
    esr = far = 0;
    access(address);
    int ok = taken == 1 && esr == wanted && (!has_far || far == address);
    checks_failed += !ok;
    print("  %s %-44s ", ok ? "ok  " : "FAIL", what);
    if (!taken)
        print("no exception\n");
    else if (has_far)
        print("ESR 0x%08lx FAR 0x%lx: %s of a %s\n", esr, far, decode(esr),
              ESR_EC(esr) == EC_IABORT_SAME ? "fetch" : esr & WNR ? "store" : "load");
    else
        print("ESR 0x%08lx: %s\n", esr, decode(esr));
    if (!ok)
        print("       %u exceptions, expected one with ESR 0x%lx, FAR 0x%lx\n", taken, wanted, address);
}

static void expect_none(const char *what, void (*access)(uint64_t), uint64_t address)
{
    taken = 0;
    access(address);
    check(taken == 0, what);
}

static int map_all(uint64_t read_only, uint64_t no_execute, uint64_t hole)
{
    uint64_t ram = realm_entry.ram_base, bit = realm_entry.shared_bit;
    s1_init(&s1, tables, TABLES);
    /* RAM and 1M beyond it: code first, everything executable so that only stage 2 refuses. */
    int ok = s1_map(&s1, ram, ram, realm_entry.ram_size + 2 * MIB, S1_CODE) &&
             s1_map(&s1, ram | bit, ram | bit, realm_entry.ram_size + 2 * MIB, S1_CODE);
    /* Single pages with rights of their own, so that their 2M are mapped by pages. */
    uint64_t split = read_only & ~(2 * MIB - 1);
    *s1_entry(&s1, split, 2) = 0;
    ok = ok && s1_map(&s1, split, split, GRANULE, S1_CODE);
    for (uint64_t page = split + GRANULE; ok && page < split + 2 * MIB; page += GRANULE)
        ok = s1_map(&s1, page, page, GRANULE, S1_CODE);
    if (!ok)
        return 0;
    *s1_entry(&s1, read_only, 3) |= S1_RO;
    *s1_entry(&s1, no_execute, 3) |= S1_PXN | S1_XN;
    *s1_entry(&s1, hole, 3) = 0;
    s1_enable_el1(&s1);
    return 1;
}

int main(void)
{
    uint64_t ram = realm_entry.ram_base, bit = realm_entry.shared_bit, top = ram + realm_entry.ram_size;
    uint64_t page = ram + 8 * MIB; /* given up below */
    uint64_t read_only = ram + 4 * MIB, no_execute = read_only + GRANULE, hole = read_only + 2 * GRANULE;

    if (!map_all(read_only, no_execute, hole))
        return 2;
    print("MMU on, all mapped one to one\n");

    print("stage 1\n");
    expect("load where nothing is mapped", load, hole, DABORT(TRANSLATION_3));
    expect_none("load from a read-only page", load, read_only);
    expect("store to a read-only page", store, read_only, DABORT(PERMISSION_3 | WNR));
    expect("fetch from an execute-never page", call, no_execute, IABORT(PERMISSION_3));

    print("EMPTY\n");
    expect("load beyond RAM", load, top + 0x10, DABORT(EXTERNAL));
    expect("store beyond RAM", store, top + 0x10, DABORT(EXTERNAL | WNR));
    expect("fetch beyond RAM", call, top + 0x10, IABORT(EXTERNAL));
    expect_none("store to RAM not touched before: the host supplies it", store, page);
    uint64_t next, response;
    rsi_ipa_state_set(page, page + GRANULE, RSI_RIPAS_EMPTY, 0, &next, &response);
    check(ripas_of(page) == RSI_RIPAS_EMPTY, "a page of RAM goes to EMPTY");
    expect("load from it", load, page + 8, DABORT(EXTERNAL));
    expect("fetch from it", call, page + 8, IABORT(EXTERNAL));

    print("unprotected\n");
    expect("load where the host maps nothing", load, (top | bit) + 0x20, DABORT(EXTERNAL));
    expect("store where the host maps nothing", store, (top | bit) + 0x20, DABORT(EXTERNAL | WNR));
    expect("load from the alias of a page still RAM", load, read_only | bit, DABORT(EXTERNAL));
    expect_none("store to the alias of the page that was given up", store, page | bit);
    expect("fetch from it: shared, so never executable", call, page | bit, IABORT(EXTERNAL));
    uint64_t host[4] = {page | bit};
    check_equal(ask_host(CCAB_HC_READ_ONLY, host), 0, "the host makes it read-only");
    expect_none("load from it", load, page | bit);
    expect("store to it", store, page | bit, DABORT(EXTERNAL | WNR));

    print("calls\n");
    expect("HVC", hypercall, 0, UNDEFINED);

    print("faults: %u checks failed\n", checks_failed);
    return checks_failed != 0;
}
