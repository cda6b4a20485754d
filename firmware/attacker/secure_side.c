/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "attacker.h"

#include "client.h"

static const enum target reached[SECURE_TARGETS] = {DATA, RTT, RD, REC, GPT, MONITOR, RMM};

unsigned secure_cases;
static uint64_t taken, code_sum, secret_sum, code;

int service_open(uint64_t buffers)
{
    int32_t status = client_open(buffers);
    if (status < 0)
        print("attacker: no service answers by FF-A (%d)\n", status);
    return status >= 0;
}

int service_take(uint64_t pa)
{
    uint64_t out[4];
    uint64_t result = client_ask(SERVICE_TAKE, pa, 0, 0, out);
    if (result != SERVICE_OK || out[1]) {
        print("attacker: the service cannot take 0x%lx: result %lu, 0x%lx, %lu faults\n", pa, result, out[0], out[1]);
        return 0;
    }
    taken = pa;
    secret_sum = out[0];
    if (client_ask(SERVICE_CHECK, 0, 0, 0, out) != SERVICE_OK || out[1] != secret_sum)
        return 0;
    code_sum = out[0];
    code = out[2];
    return 1;
}

uint64_t service_code(void)
{
    return code;
}

int service_unchanged(void)
{
    uint64_t out[4];
    return client_ask(SERVICE_CHECK, 0, 0, 0, out) == SERVICE_OK && out[0] == code_sum && out[1] == secret_sum;
}

static void count_secure(int ok)
{
    count(ok);
    secure_cases++;
}

/* Neither call may move a granule of another world: SIP_BAD_PAS. */
static int monitor_refuses(uint64_t pa)
{
    uint64_t take[4] = {0}, give[4] = {0};
    uint64_t took = client_ask(SERVICE_TAKE, pa, 0, 0, take);
    uint64_t gave = client_ask(SERVICE_GIVE_BACK, pa, 0, 0, give);
    return took == SERVICE_REFUSED && (int64_t)take[0] == SIP_BAD_PAS && gave == SERVICE_REFUSED &&
           (int64_t)give[0] == SIP_BAD_PAS;
}

static void attack(enum target target, uint64_t ns)
{
    uint64_t pa = target_pa[target];
    print("%-8s 0x%09lx", target_names[target], pa);
    for (unsigned access = 0; access < ACCESSES; access++) {
        uint64_t out[4] = {0};
        int ok = client_ask(SERVICE_PROBE, pa, access, ns, out) == SERVICE_OK && out[3] && unchanged();
        count_secure(ok);
        print("  %s", ok ? "ok " : "BAD");
    }
    if (ns) {
        print("       by Non-secure addresses\n");
        return;
    }
    int ok = monitor_refuses(pa) && unchanged();
    count_secure(ok);
    print("  %s\n", ok ? "ok " : "BAD");
}

void secure_attacks(void)
{
    print("from the Secure world at S-EL1; %c = SIP_GRANULE_TAKE and SIP_GRANULE_GIVE_BACK must give BAD_PAS\n",
          'a' + (char)ACCESSES);
    for (unsigned i = 0; i < SECURE_TARGETS; i++)
        for (uint64_t ns = 0; ns < 2; ns++)
            attack(reached[i], ns);
}

void service_give_back(void)
{
    uint64_t out[4];
    int ok = client_ask(SERVICE_GIVE_BACK, taken, 0, 0, out) == SERVICE_OK;
    for (uint64_t i = 0; ok && i < GRANULE / 8; i++)
        ok = ((const volatile uint64_t *)taken)[i] == 0;
    count(ok);
    print("the taken granule comes back %s\n", ok ? "zero" : "with its secret (WRONG)");
}
