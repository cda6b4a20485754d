/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A hostile host.  Every way to reach memory, against every kind of memory that is not the Normal world's: each must
 * be refused with the exact syndrome, change nothing, and have worked while the granule was still Non-secure. */
#include "attacker.h"

#define DELEGATED_TARGETS 4 /* DATA to REC: the others were never Non-secure, but for TAKEN */
#define EXTRA 5
#define NORMAL_CASES ((RMM + 1) * (ACCESSES + 1) + EXTRA)
/* With a service: two more targets; from the Secure world seven of the others by two kinds of address, and by call. */
#define SECURE_CASES (2 * (ACCESSES + 1) + SECURE_TARGETS * (2 * ACCESSES + 1) + 1)
#define MAX_CONTROLLED 512

const char *const target_names[TARGETS] = {
    "DATA", "RTT", "RD", "REC", "Secure", "GPT", "monitor", "RMM", "service", "taken",
};
uint64_t target_pa[TARGETS];
unsigned cases, passed;

static struct vmm_realm realm;
static uint64_t spare; /* a delegated granule that nothing uses */
static uint64_t checksum; /* of the realm's data */
static int with_service;
static unsigned set_ripas_attacks;
/* Granules on which every access succeeded before they were delegated. */
static uint64_t controlled[MAX_CONTROLLED];
static unsigned controls;

void count(int ok)
{
    cases++;
    passed += ok != 0;
}

/* ---- the same accesses before delegation ---- */

void before_delegate(uint64_t pa)
{
    for (enum access access = LOAD; access < ACCESSES; access++) {
        window_prepare(pa);
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

int unchanged(void)
{
    return report(CCAB_VICTIM_CHECK) == checksum && (!with_service || service_unchanged());
}

/* The line of a target: one column for each access, the last for the RMI. */
static void attack(enum target target)
{
    uint64_t pa = target_pa[target];
    if (!pa) {
        print("%-8s is not in this machine\n", target_names[target]);
        return;
    }
    /* Those that were Non-secure once must have been open to every access then. */
    int was_normal = target < DELEGATED_TARGETS || target == TAKEN;
    int before = !was_normal || was_controlled(pa);
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
        ok = ok && before && unchanged();
        count(ok);
        failed |= (unsigned)!ok << i;
        columns[i] = ok ? "ok " : "BAD";
    }
    print("%-8s 0x%09lx", target_names[target], pa);
    for (unsigned i = 0; i <= ACCESSES; i++)
        print("  %s", columns[i]);
    print("%s\n", was_normal ? "  all worked before delegation" : "");
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
    checksum = report(CCAB_VICTIM_CHECK);
    if (realm.done) {
        print("attacker: the realm ended with %d before the first attack\n", realm.exit_code);
        return 3;
    }

    uint64_t data_ipa = realm.recs[0].run->exit.gprs[0];
    uint64_t spare_ipa = realm.recs[0].run->exit.gprs[2];
    uint64_t data = page_pa(*realm_page(&realm, data_ipa));
    target_pa[DATA] = data;
    target_pa[RTT] = entry_pa(data_ipa, 2);
    target_pa[RD] = realm.rd;
    target_pa[REC] = realm.recs[0].rec;
    target_pa[SECURE] = info->secure_pa;
    target_pa[GPT] = info->root_gpt_pa;
    target_pa[MONITOR] = info->monitor_pa;
    target_pa[RMM] = info->rmm_pa;
    with_service = service_open(pool_take(2));
    if (with_service) {
        uint64_t taken = pool_take(1);
        before_delegate(taken);
        if (!service_take(taken))
            return 4;
        target_pa[SERVICE] = service_code();
        target_pa[TAKEN] = taken;
    }
    legend();
    for (enum target target = DATA; target < TARGETS; target++)
        attack(target);
    if (with_service)
        secure_attacks();

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
    if (with_service)
        service_give_back();
    unsigned wanted = NORMAL_CASES + (with_service ? SECURE_CASES : 0);
    print("attacker: %u cases, %u passed; from the Secure world %u of them\n", cases, passed, secure_cases);
    if (cases != wanted)
        print("attacker: %u cases expected\n", wanted);
    return cases == wanted && passed == cases && realm.done && realm.exit_code == 0 ? 0 : 1;
}
