/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A tiny VMM: what a host needs to build realms by RMI calls, run them and take everything back. */
#ifndef VMM_H
#define VMM_H

#include "host.h"
#include "rmi.h"

/* Exit codes of a host that fails by itself. */
#define VMM_RMI_FAILED 90 /* an RMI call that must succeed did not */
#define VMM_STUCK 91      /* a realm cannot go on */
#define VMM_LEAK 92       /* a granule did not come back, or not zeroed */
#define VMM_NO_MEMORY 93  /* the pool is empty */

/* ---- granule.c: the pool, and granules on their way to the Realm PAS and back ---- */

struct granule_counts {
    uint64_t delegated; /* GRANULE_DELEGATEs */
    uint64_t returned;  /* GRANULE_UNDELEGATEs, after which the granule was read and found zero */
};

extern struct granule_counts granule_counts;

void pool_init(uint64_t base, uint64_t size);
/* `count` zeroed pages next to each other; where `count` is a power of two, aligned to their size.  Ends the machine
 * when there are none left. */
uint64_t pool_take(uint64_t count);
void pool_give(uint64_t pa);

/* A page of the pool, delegated. */
uint64_t granule_take(void);
/* Undelegates a granule, checks that it can be read and is zero, and gives it to the pool. */
void granule_give(uint64_t pa);
void granule_delegate(uint64_t pa);
void granule_undelegate(uint64_t pa);

/* ---- status.c ---- */

/* "RMI_ERROR_RTT" for the status bits of a return code. */
const char *rmi_status_name(uint64_t status);
_Noreturn void vmm_fail(const char *call, uint64_t status);

static inline void must(const char *call, uint64_t status)
{
    if (status != RMI_SUCCESS)
        vmm_fail(call, status);
}

/* ---- realm.c, rtt.c: building and destroying ---- */

/* What the host knows of a page of the realm's RAM: its PA and one of these. */
enum page_state {
    PAGE_NONE,   /* RAM, nothing there yet */
    PAGE_DATA,   /* RAM, a DATA granule */
    PAGE_EMPTY,  /* the realm gave it up, nothing there yet */
    PAGE_SHARED, /* the realm gave it up, a page of the host */
    PAGE_MAPPED, /* the same, mapped at the shared alias */
};

#define VMM_TIMERS 2

struct vmm_timer {
    uint64_t fires;  /* at the last exit */
    uint64_t listed; /* its interrupt is, or was until the realm had done with it, in a list register */
    uint64_t delay;  /* exits that its interrupt is still held back */
};

struct vmm_rec {
    uint64_t rec;
    uint64_t aux[16];
    uint64_t mpidr;
    struct rmi_rec_run *run;
    uint64_t on;
    uint64_t restart; /* CPU_ON came while the host did not know yet that the REC is off */
    struct vmm_timer timers[VMM_TIMERS];
};

struct vmm_realm {
    const struct ccab_realm_info *info;
    uint32_t index;
    int start_level;
    uint64_t rd;
    uint64_t root;
    uint64_t root_count;
    uint64_t aux_count;
    uint64_t shared_bit;
    uint64_t *pages; /* PA | enum page_state, of each page of RAM */
    struct vmm_rec *recs;
    uint64_t done;
    int exit_code;
    /* Of faults that the host cannot mend: the page, and how often the realm came out for it. */
    uint64_t stuck_ipa;
    uint64_t stuck_exits;
    uint64_t entries;
    uint64_t host_calls;
    uint64_t faults;
    uint64_t mmio;
    uint64_t ripas_changes;
    uint64_t pmu_exits;
    uint64_t fiq_exits;
};

/* Builds and activates a realm as `info` describes it, with vmid = index + 1. */
void realm_build(struct vmm_realm *realm, const struct ccab_realm_info *info, uint32_t index);
/* The parts of realm_build, for hosts that do something in between. */
void realm_create(struct vmm_realm *realm, const struct ccab_realm_info *info, uint32_t index);
void realm_populate(struct vmm_realm *realm);
void realm_create_recs(struct vmm_realm *realm);
/* Destroys a realm and takes every granule back. */
void realm_destroy(struct vmm_realm *realm);

/* The page of the realm's RAM that an IPA of either half lies in, or 0. */
uint64_t *realm_page(const struct vmm_realm *realm, uint64_t ipa);

static inline enum page_state page_state(uint64_t page)
{
    return (enum page_state)(page & 0xfff);
}

static inline uint64_t page_pa(uint64_t page)
{
    return page & ~0xfffUL;
}

static inline uint64_t rtt_size(int level)
{
    return 1UL << (12 + 9 * (3 - level));
}

/* The level at which a walk stopped, from an RMI_ERROR_RTT return code. */
static inline int rtt_stop(uint64_t status)
{
    return (int8_t)RMI_INDEX(status);
}

/* Creates the table that a walk for `ipa` lacks, which stopped at level `stop`. */
void rtt_extend(struct vmm_realm *realm, uint64_t ipa, int stop);
/* DATA_CREATE_UNKNOWN and MAP_UNPROTECTED with the tables that they need; RMI status. */
uint64_t rtt_data_create_unknown(struct vmm_realm *realm, uint64_t data, uint64_t ipa);
uint64_t rtt_map_unprotected(struct vmm_realm *realm, uint64_t ipa, uint64_t desc);
/* Destroys all DATA and all tables below the root. */
void rtt_destroy_all(struct vmm_realm *realm);

/* Descriptor of a shared page: Normal write-back memory, S2AP read-write or read-only. */
#define VMM_DESC_RW(pa) ((pa) | 6UL << 2 | 3UL << 6)
#define VMM_DESC_RO(pa) ((pa) | 6UL << 2 | 1UL << 6)

/* ---- pages.c: the realm's RAM while it runs: pages on demand, and their way from RAM to EMPTY, shared, and back ---- */

/* False when nothing can be put there. */
int page_supply(struct vmm_realm *realm, uint64_t ipa);
/* The same of a page that the realm gave up, at the shared alias. */
int page_share(struct vmm_realm *realm, uint64_t ipa);
/* Whether the host has what the realm's RIPAS change needs; if not, the next entry rejects it. */
int pages_can_change(const struct vmm_realm *realm, struct vmm_rec *rec);
/* Answers a RIPAS change up to `top`. */
void pages_set_ripas(struct vmm_realm *realm, struct vmm_rec *rec, uint64_t top);

/* ---- lock.c: what the PEs of the host share; nothing to wait for on one PE ---- */

extern uint32_t vmm_pes; /* PEs that run the host */
void vmm_lock(void);
void vmm_unlock(void);

/* ---- pes.c: the other PEs ---- */

/* Turns stage 1 on, one to one, and starts every other PE of the machine with `work(PE, argument)`. */
void pes_start(const struct ccab_host_info *info, void (*work)(uint32_t pe, void *argument), void *argument);
/* Turns a PE on that has done its work and is off, to do it again. */
void pes_restart(const struct ccab_host_info *info, uint32_t pe);
/* What PE `pe` of `pes` does before it runs RECs; nothing unless defined elsewhere. */
void before_realms(uint32_t pe, uint32_t pes);
/* Waits until every other PE has returned from its work and is off. */
void pes_wait(const struct ccab_host_info *info);

/* ---- behaviour.c: what the machine file wants the host to do to its realms ---- */

void behaviours_init(const struct ccab_host_info *info);
/* The behaviour of this kind that an occasion at `at` (an IPA, a REC's index) meets, or 0; counts the occasion. */
const struct ccab_behaviour *behave(const struct vmm_realm *realm, uint32_t kind, uint64_t at);
/* Answers CCAB_HC_BEHAVIOUR. */
void behaviour_tell(const struct vmm_realm *realm, uint64_t *gprs);
/* Takes the pages away whose time has come. */
void behaviour_evict(struct vmm_realm *realm);
/* Whether the host took the page and does not give it back. */
int behaviour_keeps(const struct vmm_realm *realm, uint64_t ipa);

/* ---- timers.c ---- */

/* After each exit of a REC: which of its timers' interrupts the next entry brings. */
void timers_update(struct vmm_realm *realm, struct vmm_rec *rec);
/* Whether one is held back (host.behaviour): the REC must not wait for it in a WFI. */
int timers_delayed(const struct vmm_rec *rec);
/* The REC is off. */
void timers_reset(struct vmm_rec *rec);

/* ---- run.c, hostcall.c ---- */

/* On PE `pe` of `pes`, which together run all RECs: enters its own in turn until every realm has ended. */
void realms_run_on(struct vmm_realm *realms, uint32_t count, uint32_t pe, uint32_t pes);
/* Enters one REC once and answers its exit; true while that REC alone should go on. */
int rec_step(struct vmm_realm *realm, struct vmm_rec *rec, uint64_t flags);
/* The realm's RECs run no more; `code` is its result. */
void realm_stop(struct vmm_realm *realm, int code);
/* Answers the host call in `run`. True while the REC should go on. */
int hostcall(struct vmm_realm *realm, struct rmi_rec_run *run);
void realm_puts(const struct vmm_realm *realm, const char *text, uint64_t length);
/* DATA_DESTROYs a page of RAM and takes the granule back; RMI status. */
uint64_t realm_drop_page(struct vmm_realm *realm, uint64_t ipa);

/* Called with every granule while it is still Non-secure, and with every RIPAS request before it is answered;
 * for hosts with designs of their own.  They do nothing unless defined elsewhere. */
void before_delegate(uint64_t pa);
void before_set_ripas(struct vmm_realm *realm, const struct vmm_rec *rec, uint64_t base, uint64_t top);

#endif
