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

static uint64_t tables[TABLES * 512] __attribute__((aligned(0x1000)));
static struct stage1 s1;

static volatile unsigned taken;
static volatile uint64_t esr, far;

void realm_exception(struct frame *frame)
{
    taken++;
    esr = frame->esr;
    far = frame->far;
    switch (ESR_EC(frame->esr)) {
    case EC_IABORT_SAME:
        frame->elr = frame->x[30]; /* back from the call */
        break;
    default:
        frame->elr += 4;
    }
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
    switch (ESR_EC(value)) {
    case EC_UNKNOWN:
        return "undefined instruction";
    case EC_DABORT_SAME:
    case EC_IABORT_SAME:
        break;
    default:
        return "?";
    }
    switch (ESR_FSC(value) & 0x3c) {
    case 0x04:
        return "translation fault";
    case 0x0c:
        return "permission fault";
    case 0x10:
        return "external abort";
    default:
        return "?";
    }
}

static void expect(const char *what, void (*access)(uint64_t), uint64_t address, uint64_t wanted_esr)
{
    int with_far = wanted_esr != 1UL << 25;
    taken = 0;
    esr = far = 0;
    access(address);
    print("%s: ESR_EL1 0x%lx (%s, %s, level %lu), FAR_EL1 0x%lx\n", what, esr,
          ESR_EC(esr) == EC_IABORT_SAME ? "fetch" : esr & WNR ? "store" : "load", decode(esr), esr & 3, far);
    check(taken == 1, "one exception");
    check_equal(esr, wanted_esr, "its syndrome");
    if (with_far)
        check_equal(far, address, "its address");
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
    expect("load from the alias of a page that is still RAM", load, read_only | bit, DABORT(EXTERNAL));
    expect_none("store to the alias of the page that was given up", store, page | bit);
    expect("fetch from it: shared memory never executes", call, page | bit, IABORT(EXTERNAL));
    uint64_t host[4] = {page | bit};
    check_equal(ask_host(CCAB_HC_READ_ONLY, host), 0, "the host makes it read-only");
    expect_none("load from it", load, page | bit);
    expect("store to it", store, page | bit, DABORT(EXTERNAL | WNR));

    print("others\n");
    expect("HVC", hypercall, 0, 1UL << 25);

    print("faults: %u checks failed\n", checks_failed);
    return checks_failed != 0;
}
