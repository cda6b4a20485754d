/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a Linux realm asks of its host, in small: the SMCs of its boot in their order, the device tree, a bounce buffer
 * shared with the host, 16550, GICv3, timer, virtio, a second vCPU.  Started as a kernel is; it ends by SYSTEM_OFF. */
#include "../check.h"
#include "board.h"
#include "psci.h"
#include "stage1.h"
#include "virtio.h"

enum {
    TABLES = 24,
    POOL_PAGES = 32,
    PATIENCE = 1000000,
    SECTOR = 512,
    VTIMER = 27,
    SGI = 3,
    UART_LSR = 5,
    UART_THRE = 0x20,
    NEEDS_RESET = 0x40,
};
#define MIGRATE_INFO_TYPE 0x84000006UL
#define CPU_SUSPEND 0xc4000001UL

static struct board board;
static uint64_t tables[TABLES * 512] __attribute__((aligned(0x1000)));
static uint8_t config[GRANULE] __attribute__((aligned(0x1000)));
static uint8_t pool[POOL_PAGES][GRANULE] __attribute__((aligned(0x1000)));
static uint8_t private_page[GRANULE] __attribute__((aligned(0x1000)));
static _Alignas(16) uint64_t stack[512];
static struct stage1 s1;
static uint64_t shared_bit;
static unsigned pool_used;
static struct queue hvc;
static uint64_t hvc_page;
static char early[8192];
static size_t held;
static int uart_is_there;
static volatile uint64_t taken[2], last_intid[2], second_is_up, second_may_go;

static int wait_done(struct queue *queue, uint32_t *written)
{
    for (unsigned i = 0; i < PATIENCE; i++)
        if (virtio_done(queue, written))
            return 1;
    return 0;
}

/* Console */

static void put(char c)
{
    while (!(*(volatile uint8_t *)(board.uart.base + UART_LSR) & UART_THRE))
        ;
    *(volatile uint8_t *)board.uart.base = (uint8_t)c;
}

/* Through a page of the bounce buffer. */
static void hvc_write(const char *text, size_t length)
{
    uint32_t written;
    while (length) {
        size_t some = length < GRANULE ? length : GRANULE;
        memcpy((void *)hvc_page, text, some);
        virtio_submit(&hvc, &(struct part){hvc_page, (uint32_t)some, 0}, 1);
        if (!wait_done(&hvc, &written))
            return;
        text += some;
        length -= some;
    }
}

/* The 16550, once it is mapped; without one virtio-console, once it is there. */
void console_write(const char *text, size_t length)
{
    if (uart_is_there) {
        for (size_t i = 0; i < length; i++) {
            if (text[i] == '\n')
                put('\r');
            put(text[i]);
        }
    } else if (hvc_page) {
        hvc_write(text, length);
    } else {
        for (size_t i = 0; i < length && held < sizeof early; i++)
            early[held++] = text[i];
    }
}

static void tell_what_was_held(void)
{
    console_write(early, held);
}

/* The VMM's exit code is what the project's init says; see machine/vmm/linux/initramfs.py. */
_Noreturn void realm_exit(int code)
{
    print("ccabridge-init: exit %d\n", code);
    for (;;)
        psci_system_off();
}

/* Interrupts */

static void gic_redistributor(uint64_t frame)
{
    mmio_write32(frame + 0x14, mmio_read32(frame + 0x14) & ~2U); /* GICR_WAKER.ProcessorSleep */
    mmio_write32(frame + 0x10080, 0xffffffff);                   /* GICR_IGROUPR0 */
    mmio_write32(frame + 0x10100, 1U << VTIMER | 1U << SGI);     /* GICR_ISENABLER0 */
}

static void gic_cpu(void)
{
    __asm__ volatile("msr s3_0_c12_c12_5, %0\n isb" ::"r"(read_sysreg(s3_0_c12_c12_5) | 1) : "memory"); /* SRE */
    write_sysreg(s3_0_c4_c6_0, 0xf0);                                                                  /* PMR */
    write_sysreg(s3_0_c12_c12_7, 1);                                                                   /* IGRPEN1 */
    isb();
    __asm__ volatile("msr daifclr, #2" ::: "memory");
}

static void gic_init(void)
{
    mmio_write32(board.gicd.base, 0x12); /* GICD_CTLR: ARE, group 1 */
    mmio_write32(board.gicd.base + 0x84, 0xffffffff);
    for (unsigned i = 0; i < board.virtios; i++)
        mmio_write32(board.gicd.base + 0x100 + 4 * (board.virtio[i].intid / 32), 1U << board.virtio[i].intid % 32);
    gic_redistributor(board.gicr.base);
    gic_cpu();
}

void realm_exception(struct frame *frame)
{
    if (frame->vector != 5) { /* not an IRQ at EL1 with SP_EL1 */
        print("exception (vector %lu) at PC 0x%lx: ESR_EL1 0x%lx, FAR_EL1 0x%lx\n", frame->vector, frame->elr,
              frame->esr, frame->far);
        realm_exit(REALM_EXCEPTION);
    }
    uint64_t intid = read_sysreg(s3_0_c12_c12_0); /* ICC_IAR1_EL1 */
    if (intid >= 1020)
        return;
    if (intid == VTIMER)
        write_sysreg(cntv_ctl_el0, 0);
    for (unsigned i = 0; i < board.virtios; i++)
        if (board.virtio[i].intid == intid)
            virtio_acknowledge(board.virtio[i].reg.base);
    uint64_t vcpu = read_sysreg(mpidr_el1) & 1;
    taken[vcpu]++;
    last_intid[vcpu] = intid;
    write_sysreg(s3_0_c12_c12_1, intid); /* ICC_EOIR1_EL1 */
    isb();
}

/* SMCs, in the order in which Linux makes them (linux-realm.md) */

/* The device tree has no shared bits: what is EMPTY there is reached by its alias, as by Linux' ioremap. */
static void use_alias(struct range *device)
{
    uint64_t top, ripas, base = device->base & -GRANULE, end = (device->base + device->size + GRANULE - 1) & -GRANULE;
    check(rsi_ipa_state_get(base, end, &top, &ripas) == RSI_SUCCESS && ripas == RSI_RIPAS_EMPTY && top >= end,
          "a device's pages are EMPTY: it is used by its alias");
    device->base |= shared_bit;
}

static void firmware_calls(void)
{
    uint64_t lower, higher, top, ripas, base, response;
    check_equal((uint64_t)psci_version(), PSCI_VERSION_1_1, "PSCI_VERSION is 1.1");
    check_equal(smc4(MIGRATE_INFO_TYPE, 0, 0, 0, 0), (uint64_t)PSCI_NOT_SUPPORTED, "no MIGRATE_INFO_TYPE");
    check_equal((uint64_t)psci_features(SMC_SMCCC_VERSION), PSCI_SUCCESS, "PSCI_FEATURES knows SMCCC_VERSION");
    check_equal((uint64_t)psci_features(CPU_SUSPEND), PSCI_SUCCESS, "and CPU_SUSPEND");
    const uint64_t absent[] = {0xc400000e, 0xc4000012, 0xc4000015};
    for (unsigned i = 0; i < 3; i++)
        check_equal((uint64_t)psci_features(absent[i]), (uint64_t)PSCI_NOT_SUPPORTED, "and what there is not");
    check_equal(rsi_version(0x10000, &lower, &higher), RSI_SUCCESS, "RSI_VERSION agrees to 1.0");
    check_equal(rsi_realm_config((uint64_t)config), RSI_SUCCESS, "RSI_REALM_CONFIG");
    shared_bit = 1UL << (((struct rsi_realm_config *)config)->ipa_width - 1);
    uint64_t end = board.memory.base + board.memory.size;
    base = board.memory.base;
    while (base < end && rsi_ipa_state_set(base, end, RSI_RIPAS_RAM, RSI_NO_CHANGE_DESTROYED, &base, &response) == 0)
        ;
    check_equal(base, end, "all that the device tree says is RAM");
    base = (uint64_t)pool;
    end = base + sizeof pool;
    while (base < end && rsi_ipa_state_set(base, end, RSI_RIPAS_EMPTY, RSI_CHANGE_DESTROYED, &base, &response) == 0)
        ;
    check_equal(base, end, "the bounce buffer is given up");
    check(rsi_ipa_state_get((uint64_t)pool, (uint64_t)pool + sizeof pool, &top, &ripas) == RSI_SUCCESS &&
              ripas == RSI_RIPAS_EMPTY && top == end, "and EMPTY throughout");
    use_alias(&board.gicd);
    use_alias(&board.gicr);
    if (board.uart.base)
        use_alias(&board.uart);
    for (unsigned i = 0; i < board.virtios; i++)
        use_alias(&board.virtio[i].reg);
}

/* Memory */

static void map(void)
{
    s1_init(&s1, tables, TABLES);
    int ok = s1_map(&s1, board.memory.base, board.memory.base, board.memory.size, S1_CODE);
    ok &= s1_map(&s1, (uint64_t)pool | shared_bit, (uint64_t)pool | shared_bit, sizeof pool, S1_DATA);
    if (board.uart.base)
        ok &= s1_map(&s1, board.uart.base & -GRANULE, board.uart.base & -GRANULE, GRANULE, S1_MMIO);
    ok &= s1_map(&s1, board.gicd.base, board.gicd.base, board.gicd.size, S1_MMIO);
    ok &= s1_map(&s1, board.gicr.base, board.gicr.base, board.gicr.size, S1_MMIO);
    for (unsigned i = 0; i < board.virtios; i++) {
        uint64_t page = board.virtio[i].reg.base & -GRANULE;
        if (!i || page != (board.virtio[i - 1].reg.base & -GRANULE))
            ok &= s1_map(&s1, page, page, GRANULE, S1_MMIO);
    }
    if (check(ok, "stage 1: RAM, the buffer's alias, the devices"))
        s1_enable_el1(&s1);
    uart_is_there = board.uart.base != 0;
    if (uart_is_there)
        tell_what_was_held();
}

static uint64_t shared_page(void)
{
    if (pool_used == POOL_PAGES)
        realm_exit(97);
    return (uint64_t)pool[pool_used++] | shared_bit;
}

static int zero(uint64_t page)
{
    for (unsigned i = 0; i < GRANULE / 8; i++)
        if (((volatile uint64_t *)page)[i])
            return 0;
    return 1;
}

/* Devices */

static void try_console(uint64_t base)
{
    check(virtio_queue(&hvc, base, 1, shared_page()), "virtio-console has a transmit queue");
    virtio_ready(base);
    hvc_page = shared_page();
    if (!uart_is_there)
        tell_what_was_held();
}

static void try_block(uint64_t base, uint32_t intid)
{
    struct queue queue;
    uint32_t written;
    uint64_t page = shared_page();
    volatile uint32_t *request = (volatile uint32_t *)page;
    volatile uint8_t *status = (volatile uint8_t *)page + 64, *data = (volatile uint8_t *)page + SECTOR;
    check(virtio_queue(&queue, base, 0, shared_page()), "virtio-block has a queue");
    virtio_ready(base);
    const struct part parts[] = {{page, 16, 0}, {page + SECTOR, SECTOR, 1}, {page + 64, 1, 1}};
    request[0] = 0; /* VIRTIO_BLK_T_IN */
    request[2] = 1;
    *status = 0xff;
    uint64_t before = taken[0];
    virtio_submit(&queue, parts, 3);
    check(wait_done(&queue, &written) && written == SECTOR + 1 && *status == 0, "sector 1 is read");
    int good = 1;
    for (unsigned i = 0; i < SECTOR; i++)
        good &= data[i] == (uint8_t)(i * 7 + 1);
    check(good, "and is what the disk holds");
    check(taken[0] > before && last_intid[0] == intid, "its interrupt came");
    const struct part out[] = {{page, 16, 0}, {page + SECTOR, SECTOR, 0}, {page + 64, 1, 1}};
    request[0] = 1; /* VIRTIO_BLK_T_OUT */
    request[2] = 2;
    *status = 0xff;
    virtio_submit(&queue, out, 3);
    check(wait_done(&queue, &written) && *status == 0, "sector 2 is written");
    request[0] = 0;
    *status = 0xff;
    memset((void *)data, 0, SECTOR);
    virtio_submit(&queue, parts, 3);
    check(wait_done(&queue, &written) && *status == 0 && data[9] == 64, "and reads back");
}

static void try_rng(uint64_t base)
{
    struct queue queue;
    uint32_t written = 0;
    uint64_t page = shared_page();
    check(zero(page), "a page of the buffer was wiped");
    check(virtio_queue(&queue, base, 0, shared_page()), "virtio-rng has a queue");
    virtio_ready(base);
    virtio_submit(&queue, &(struct part){page, 64, 1}, 1);
    check(wait_done(&queue, &written) && written == 64 && !zero(page), "it gives 64 bytes");
    /* A driver without the DMA API: the address that it gives is the realm's own. */
    memset(private_page, 0x5a, sizeof private_page);
    virtio_submit(&queue, &(struct part){(uint64_t)private_page, 64, 1}, 1);
    int done = 0;
    for (unsigned i = 0; i < 1000 && !done; i++)
        done = virtio_done(&queue, &written);
    int untouched = 1;
    for (unsigned i = 0; i < 64; i++)
        untouched &= ((volatile uint8_t *)private_page)[i] == 0x5a;
    check(untouched, "protected memory is not written by it");
    check(!done && (virtio_status(base) & NEEDS_RESET) != 0, "and the device says that it needs a reset");
}

static void devices(void)
{
    unsigned seen = 0;
    for (unsigned i = 0; i < board.virtios; i++) {
        uint64_t base = board.virtio[i].reg.base;
        uint32_t id = virtio_probe(base);
        check(!virtio_negotiate(base, 0), "FEATURES_OK stays clear without ACCESS_PLATFORM");
        check(virtio_negotiate(base, 1), "and is set with it");
        if (id == VIRTIO_CONSOLE)
            try_console(base);
        else if (id == VIRTIO_BLOCK)
            try_block(base, board.virtio[i].intid);
        else if (id == VIRTIO_RNG)
            try_rng(base);
        seen |= 1U << id;
    }
    check(seen >> VIRTIO_RNG & 1, "there is a virtio-rng");
}

/* Timer, SGIs, the second vCPU */

static void timer(void)
{
    uint64_t before = taken[0];
    write_sysreg(cntv_tval_el0, 100000);
    write_sysreg(cntv_ctl_el0, 1);
    isb();
    for (unsigned i = 0; i < 100 && taken[0] == before; i++)
        __asm__ volatile("wfi" ::: "memory");
    check(taken[0] == before + 1 && last_intid[0] == VTIMER, "the virtual timer ends a WFI by PPI 27");
}

static _Noreturn void second(uint64_t *top)
{
    (void)top;
    s1_enable_el1(&s1);
    gic_redistributor(board.gicr.base + 0x20000);
    gic_cpu();
    second_is_up = 1;
    while (!second_may_go)
        __asm__ volatile("wfi" ::: "memory");
    /* It runs on while the first one turns the power off. */
    for (;;)
        second_is_up++;
}

static void second_vcpu(void)
{
    uint64_t *top = &stack[510];
    top[0] = (uint64_t)second;
    dsb();
    __asm__ volatile("dc cvac, %0\n dsb sy" ::"r"(top) : "memory");
    check_equal((uint64_t)psci_affinity_info(1, 0), PSCI_AFFINITY_OFF, "the second vCPU is off");
    check_equal((uint64_t)psci_cpu_on(1, (uint64_t)realm_secondary_start, (uint64_t)top), PSCI_SUCCESS, "CPU_ON");
    check_equal((uint64_t)psci_cpu_on(1, (uint64_t)realm_secondary_start, (uint64_t)top), (uint64_t)PSCI_ALREADY_ON,
                "and not twice");
    for (unsigned i = 0; i < PATIENCE && !second_is_up; i++)
        ;
    check(second_is_up != 0, "it runs");
    second_may_go = 1;
    dsb();
    write_sysreg(s3_0_c12_c11_5, (uint64_t)SGI << 24 | 1UL << 1); /* ICC_SGI1R_EL1 to affinity 0.0.0.1 */
    isb();
    for (unsigned i = 0; i < PATIENCE && !taken[1]; i++)
        ;
    check(taken[1] == 1 && last_intid[1] == SGI, "an SGI gets there");
    check_equal((uint64_t)psci_affinity_info(1, 0), PSCI_AFFINITY_ON, "and it is on");
}

int main(void)
{
    if (!board_read((const void *)realm_entry.ram_base, &board))
        realm_exit(96);
    print("mini-linux: %u vCPUs, %lu MiB at 0x%lx\n", board.cpus, board.memory.size >> 20, board.memory.base);
    check(board.psci_by_smc, "PSCI is by SMC: there may be RSI");
    firmware_calls();
    map();
    gic_init();
    timer();
    devices();
    if (check(board.cpus >= 2, "there is a second vCPU"))
        second_vcpu();
    return checks_end("mini-linux");
}
