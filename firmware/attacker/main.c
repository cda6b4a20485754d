/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A hostile host.  Every way to reach memory, against every kind of memory that is not the Normal world's: each must
 * be refused with the exact syndrome, change nothing, and have worked while the granule was still Non-secure. */
#include "attacker.h"
#include "stage1.h"

enum target { DATA, RTT, RD, REC, SECURE, GPT, MONITOR, TARGETS };

#define DELEGATED_TARGETS 4 /* DATA to REC: the others were never Non-secure */
#define EXTRA 5
#define CASES (TARGETS * (ACCESSES + 1) + EXTRA)
#define RET 0xd65f03c0U
#define MAX_CONTROLLED 512

static const char *const target_names[TARGETS] = {"DATA", "RTT", "RD", "REC", "Secure", "GPT", "monitor"};

static struct vmm_realm realm;
static uint64_t spare; /* a delegated granule that nothing uses */
static unsigned cases, passed;
static unsigned set_ripas_attacks;
/* Granules on which every access succeeded before they were delegated. */
static uint64_t controlled[MAX_CONTROLLED];
static unsigned controls;

static void count(int ok)
{
    cases++;
    passed += ok != 0;
}

/* ---- the same accesses before delegation ---- */

void before_delegate(uint64_t pa)
{
    window_show(pa);
    for (enum access access = LOAD; access < ACCESSES; access++) {
        /* As a level 3 table the granule maps itself; as code it returns. */
        *(volatile uint64_t *)pa = pa | S1_CODE | S1_EL2 | S1_PAGE;
        *(volatile uint32_t *)(pa + PROBE_OFFSET) = RET;
        __asm__ volatile("dc cvau, %0\n dsb ish\n ic ivau, %0\n dsb ish\n isb" ::"r"(TARGET + PROBE_OFFSET) : "memory");
        struct outcome got = probe(access);
        if (got.faults) {
            print("attacker: %s of 0x%lx fails while it is Non-secure: ESR 0x%lx\n", access_names[access], pa, got.esr);
            host_exit(1);
        }
    }
    if (controls < MAX_CONTROLLED)
        controlled[controls++] = pa;
}

static int was_controlled(uint64_t pa)
{
    for (unsigned i = 0; i < controls; i++)
        if (controlled[i] == pa)
            return 1;
    return 0;
}

/* ---- the realm's own view ---- */

/* Runs the realm to its next report; its checksum, or 0 when it ended. */
static uint64_t report(uint64_t answer)
{
    struct vmm_rec *rec = &realm.recs[0];
    rec->run->enter.gprs[0] = answer;
    while (!realm.done) {
        if (rec_step(&realm, rec, 0))
            continue;
        if (rec->run->exit.exit_reason == RMI_EXIT_HOST_CALL && rec->run->exit.imm == CCAB_HC_VICTIM)
            return rec->run->exit.gprs[1];
    }
    return 0;
}

static uint64_t entry_pa(uint64_t ipa, int level)
{
    uint64_t desc;
    must("RMI_RTT_READ_ENTRY", rmi_rtt_read_entry(realm.rd, ipa & ~(rtt_size(level) - 1), level, 0, 0, &desc, 0));
    return desc & ~0xfffUL;
}

/* ---- the attacks ---- */

/* As an argument: neither a granule to delegate nor a page to read parameters from. */
static int rmi_refuses(uint64_t pa)
{
    uint64_t delegate = rmi_granule_delegate(pa);
    uint64_t create = rmi_realm_create(spare, pa);
    if (delegate != RMI_ERROR_INPUT || create != RMI_ERROR_INPUT)
        print("  RMI_GRANULE_DELEGATE %s, RMI_REALM_CREATE %s\n", rmi_status_name(delegate), rmi_status_name(create));
    return delegate == RMI_ERROR_INPUT && create == RMI_ERROR_INPUT;
}

/* The line of a target: one column for each access, the last for the RMI. */
static void attack(enum target target, uint64_t pa, uint64_t checksum)
{
    if (!pa) {
        print("%-8s is not in this machine\n", target_names[target]);
        return;
    }
    /* Those that were Non-secure once must have been open to every access then. */
    int before = target >= DELEGATED_TARGETS || was_controlled(pa);
    struct outcome wrong[ACCESSES];
    unsigned failed = 0;
    const char *columns[ACCESSES + 1];
    for (unsigned i = 0; i <= ACCESSES; i++) {
        int ok;
        if (i < ACCESSES) {
            window_show(pa);
            wrong[i] = probe((enum access)i);
            ok = refused((enum access)i, &wrong[i]);
        } else {
            ok = rmi_refuses(pa);
        }
        /* The realm still runs, and its data is as it was. */
        ok = ok && before && report(CCAB_VICTIM_CHECK) == checksum;
        count(ok);
        failed |= (unsigned)!ok << i;
        columns[i] = ok ? "ok " : "BAD";
    }
    print("%-8s 0x%09lx", target_names[target], pa);
    for (unsigned i = 0; i <= ACCESSES; i++)
        print("  %s", columns[i]);
    print("%s\n", target < DELEGATED_TARGETS ? "  all worked before delegation" : "");
    for (unsigned i = 0; i < ACCESSES; i++) {
        if (failed >> i & 1) {
            struct outcome wanted = expected((enum access)i);
            print("  %s: %lu faults, ESR 0x%lx (expected 0x%lx), FAR 0x%lx (expected 0x%lx), value 0x%lx%s\n",
                  access_names[i], wrong[i].faults, wrong[i].esr, wanted.esr, wrong[i].far, wanted.far, wrong[i].value,
                  before ? "" : ", never tried before delegation");
        }
    }
}

static void legend(void)
{
    for (enum access access = LOAD; access < ACCESSES; access++) {
        struct outcome wanted = expected(access);
        print("%c = %-14s must give ESR_EL2 0x%lx, FAR_EL2 0x%lx\n", 'a' + (char)access, access_names[access], wanted.esr,
              wanted.far);
    }
    print("%c = %-14s must give RMI_ERROR_INPUT\n%-20s", 'a' + (char)ACCESSES, "RMI argument", "target   PA");
    for (unsigned i = 0; i <= ACCESSES; i++)
        print("%s%c", i ? "    " : "", 'a' + (char)i);
    print("\n");
}

static void expect_status(const char *what, uint64_t got, uint64_t status, int index)
{
    int ok = got == (status | (uint64_t)index << 8);
    print("%s = %s%s\n", what, rmi_status_name(got), ok ? "" : " (WRONG)");
    count(ok);
}

/* A request is open for [base, top): the RMM must hold the host to it. */
void before_set_ripas(struct vmm_realm *r, const struct vmm_rec *rec, uint64_t base, uint64_t top)
{
    uint64_t done;
    uint64_t below = rmi_rtt_set_ripas(r->rd, rec->rec, base - GRANULE, top, &done);
    uint64_t above = rmi_rtt_set_ripas(r->rd, rec->rec, base, top + GRANULE, &done);
    expect_status("RMI_RTT_SET_RIPAS outside the request", below == above ? below : 0xff, RMI_ERROR_INPUT, 0);
    set_ripas_attacks++;
}

int main(const struct ccab_host_info *info, uint64_t x1, uint64_t x2, uint64_t x3)
{
    (void)x1, (void)x2, (void)x3;
    if (!info || info->magic != CCAB_INFO_MAGIC || info->num_realms != 1)
        return 2;
    window_init(info);
    pool_init(info->pool_pa, info->pool_size);
    realm_build(&realm, ccab_realm(info, 0), 0);
    spare = granule_take();
    uint64_t checksum = report(CCAB_VICTIM_CHECK);
    if (realm.done) {
        print("attacker: the realm ended with %d before the first attack\n", realm.exit_code);
        return 3;
    }

    uint64_t data_ipa = realm.recs[0].run->exit.gprs[0];
    uint64_t spare_ipa = realm.recs[0].run->exit.gprs[2];
    uint64_t data = page_pa(*realm_page(&realm, data_ipa));
    legend();
    attack(DATA, data, checksum);
    attack(RTT, entry_pa(data_ipa, 2), checksum);
    attack(RD, realm.rd, checksum);
    attack(REC, realm.recs[0].rec, checksum);
    attack(SECURE, info->secure_pa, checksum);
    attack(GPT, info->root_gpt_pa, checksum);
    attack(MONITOR, info->monitor_pa, checksum);

    uint64_t done;
    expect_status("RMI_DATA_CREATE_UNKNOWN over mapped RAM", rmi_data_create_unknown(realm.rd, spare, data_ipa),
                  RMI_ERROR_RTT, 3);
    expect_status("RMI_GRANULE_UNDELEGATE of a DATA granule", rmi_granule_undelegate(data), RMI_ERROR_INPUT, 0);
    expect_status("RMI_RTT_INIT_RIPAS after activation",
                  rmi_rtt_init_ripas(realm.rd, spare_ipa, spare_ipa + GRANULE, &done), RMI_ERROR_REALM, 0);
    expect_status("RMI_RTT_SET_RIPAS without a request",
                  rmi_rtt_set_ripas(realm.rd, realm.recs[0].rec, spare_ipa, spare_ipa + GRANULE, &done),
                  RMI_ERROR_INPUT, 0);
    if (report(CCAB_VICTIM_RIPAS) != checksum || set_ripas_attacks != 1)
        print("attacker: the realm made no RIPAS request, or its data changed\n");
    report(CCAB_VICTIM_END);

    granule_give(spare);
    realm_destroy(&realm);
    print("attacker: %u cases, %u passed\n", cases, passed);
    if (cases != CASES)
        print("attacker: %u cases expected\n", (unsigned)CASES);
    return cases == CASES && passed == cases && realm.done && realm.exit_code == 0 ? 0 : 1;
}
