/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A boot loader: makes all memory that the device tree describes RIPAS RAM, and starts the kernel, which may have been
 * written when there were no realms.  Device tree and kernel come from the host: X5 and X6 at entry (docs/payload.md).
 * A tree that says nonsense is refused, it may have been made to confuse. */
#include "realm.h"

#define NO_KERNEL 1 /* exit codes */
#define BAD_TREE 2
#define REFUSED 3

/* Devicetree Specification 0.4, §5. */
#define FDT_MAGIC 0xd00dfeed
#define FDT_BEGIN_NODE 1
#define FDT_END_NODE 2
#define FDT_PROP 3
#define FDT_NOP 4
#define FDT_VERSION 17
#define MAX_TREE (2UL << 20) /* Linux, booting.rst */
#define HEADER 40

#define MEASURED 64 /* bytes that RSI_MEASUREMENT_EXTEND takes at a time */

#define KERNEL_MAGIC 0x644d5241 /* "ARM\x64", at 56 */

struct tree {
    uint64_t base;
    uint32_t size;
    uint32_t at, end;              /* of the structure block: what comes next, its end */
    uint32_t strings, strings_end; /* of the strings block */
};

static _Noreturn void bad_tree(const char *why, uint64_t where)
{
    print("loader: device tree: %s (offset 0x%lx)\n", why, where);
    realm_exit(BAD_TREE);
}

static uint32_t word(const struct tree *tree, uint32_t offset)
{
    return __builtin_bswap32(mmio_read32(tree->base + offset));
}

static struct tree open_tree(uint64_t base)
{
    struct tree tree = {.base = base, .size = HEADER};
    if (base & 7 || word(&tree, 0) != FDT_MAGIC)
        bad_tree("there is none", 0);
    uint32_t size = word(&tree, 4), structure = word(&tree, 8), strings = word(&tree, 12);
    uint32_t strings_size = word(&tree, 32), structure_size = word(&tree, 36);
    if (word(&tree, 24) > FDT_VERSION || word(&tree, 20) < FDT_VERSION)
        bad_tree("unknown version", 20);
    if (size > MAX_TREE || structure & 3 || structure > size || structure_size > size - structure || strings > size ||
        strings_size > size - strings)
        bad_tree("its header contradicts itself", 4);
    tree.size = size;
    tree.at = structure;
    tree.end = structure + (structure_size & ~3U);
    tree.strings = strings;
    tree.strings_end = strings + strings_size;
    return tree;
}

static uint32_t next_word(struct tree *tree)
{
    if (tree->end - tree->at < 4)
        bad_tree("it does not end", tree->at);
    uint32_t value = word(tree, tree->at);
    tree->at += 4;
    return value;
}

/* Steps over `size` bytes and their padding. */
static void skip(struct tree *tree, uint32_t size)
{
    if (size > tree->end - tree->at || ((size + 3) & ~3U) > tree->end - tree->at)
        bad_tree("a value or a name does not end", tree->at);
    tree->at += (size + 3) & ~3U;
}

/* Whether a text of the tree, which may not go on beyond `end`, is this one. */
static int same(const struct tree *tree, uint32_t offset, uint32_t end, const char *text)
{
    const char *bytes = (const char *)tree->base;
    for (;; offset++, text++) {
        if (offset >= end || bytes[offset] != *text)
            return 0;
        if (!*text)
            return 1;
    }
}

static void skip_name(struct tree *tree)
{
    const char *name = (const char *)(tree->base + tree->at);
    uint32_t length = 0;
    while (length < tree->end - tree->at && name[length])
        length++;
    skip(tree, length + 1);
}

static void make_ram(uint64_t base, uint64_t size)
{
    uint64_t top = base + size;
    if (!size || top < base || (base | top) & (GRANULE - 1))
        bad_tree("memory that is no whole pages", base);
    while (base < top) {
        uint64_t next, response;
        uint64_t status = rsi_ipa_state_set(base, top, RSI_RIPAS_RAM, RSI_NO_CHANGE_DESTROYED, &next, &response);
        if (status != RSI_SUCCESS || response != RSI_ACCEPT || next <= base) {
            print("loader: memory at 0x%lx cannot become RAM: status %lu, response %lu\n", base, status, response);
            realm_exit(REFUSED);
        }
        base = next;
    }
}

static uint64_t cells(const struct tree *tree, uint32_t at, uint32_t count)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < count; i++)
        value = value << 32 | word(tree, at + 4 * i);
    return value;
}

/* What one pass over the tree knows: cells of an address and of a size, and of the node that it is in: */
struct walk {
    uint32_t address_cells, size_cells;
    uint32_t reg, reg_size;
    int is_memory;
    uint64_t found; /* bytes of memory */
};

static void property(struct tree *tree, struct walk *walk, uint32_t depth)
{
    uint32_t size = next_word(tree), offset = next_word(tree), value = tree->at;
    skip(tree, size);
    if (offset >= tree->strings_end - tree->strings)
        bad_tree("a property without a name", value);
    uint32_t name = tree->strings + offset;
    if (depth == 1 && size == 4 && same(tree, name, tree->strings_end, "#address-cells"))
        walk->address_cells = word(tree, value);
    if (depth == 1 && size == 4 && same(tree, name, tree->strings_end, "#size-cells"))
        walk->size_cells = word(tree, value);
    if (depth == 2 && same(tree, name, tree->strings_end, "device_type"))
        walk->is_memory = same(tree, value, value + size, "memory");
    if (depth == 2 && same(tree, name, tree->strings_end, "reg")) {
        walk->reg = value;
        walk->reg_size = size;
    }
}

static void end_of_node(const struct tree *tree, struct walk *walk)
{
    if (!walk->is_memory)
        return;
    uint32_t a = walk->address_cells, s = walk->size_cells;
    if (a < 1 || a > 2 || s < 1 || s > 2 || walk->reg_size % (4 * (a + s)))
        bad_tree("a memory node whose `reg` makes no sense", walk->reg);
    for (uint32_t at = walk->reg; at < walk->reg + walk->reg_size; at += 4 * (a + s)) {
        uint64_t base = cells(tree, at, a), size = cells(tree, at + 4 * a, s);
        make_ram(base, size);
        walk->found += size;
    }
}

/* Makes all memory of the tree RAM; bytes. */
static uint64_t make_all_ram(struct tree *tree)
{
    struct walk walk = {.address_cells = 2, .size_cells = 1};
    uint32_t depth = 0;
    do {
        uint32_t token = next_word(tree);
        if (token == FDT_BEGIN_NODE) {
            skip_name(tree);
            if (++depth == 2)
                walk.is_memory = 0, walk.reg_size = 0;
        } else if (token == FDT_END_NODE && depth) {
            if (depth-- == 2)
                end_of_node(tree, &walk);
        } else if (token == FDT_PROP && depth) {
            property(tree, &walk, depth);
        } else if (token != FDT_NOP) {
            bad_tree("unexpected token", tree->at - 4);
        }
    } while (depth);
    return walk.found;
}

/* REM 1 becomes that of the device tree, 64 bytes after 64: the host may have loaded it without measuring it. */
static void measure(const struct tree *tree)
{
    for (uint32_t at = 0; at < tree->size; at += MEASURED) {
        uint64_t value[MEASURED / 8] = {0};
        uint32_t left = tree->size - at, size = left < MEASURED ? left : MEASURED;
        memcpy(value, (const void *)(tree->base + at), size);
        if (rsi_measurement_extend(1, size, value) != RSI_SUCCESS) {
            print("loader: REM 1 cannot be extended\n");
            realm_exit(REFUSED);
        }
    }
}

/* Linux, booting.rst: X0 = device tree, X1 to X3 zero, MMU off, interrupts masked. */
static _Noreturn void start(uint64_t kernel, uint64_t dtb)
{
    register uint64_t x0 __asm__("x0") = dtb;
    register uint64_t x1 __asm__("x1") = 0;
    register uint64_t x2 __asm__("x2") = 0;
    register uint64_t x3 __asm__("x3") = 0;
    __asm__ volatile("dsb sy\n"
                     "ic iallu\n"
                     "dsb sy\n"
                     "isb\n"
                     "br %4" ::"r"(x0), "r"(x1), "r"(x2), "r"(x3), "r"(kernel) : "memory");
    __builtin_unreachable();
}

int main(void)
{
    uint64_t dtb = realm_entry.dtb, kernel = realm_entry.kernel;
    if (!dtb || !kernel || kernel & 3 || mmio_read32(kernel + 56) != KERNEL_MAGIC) {
        print("loader: the host gave no device tree, or no arm64 kernel\n");
        return NO_KERNEL;
    }
    struct tree tree = open_tree(dtb);
    measure(&tree);
    print("loader: %lu MiB of memory are RAM; starting the kernel at 0x%lx\n", make_all_ram(&tree) >> 20, kernel);
    start(kernel, dtb);
}
