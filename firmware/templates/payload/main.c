/* @NAME@: a realm payload.  The contract is docs/payload.md of ccabridge; the calls are in rsi.h. */
#include "realm.h"

static struct rsi_realm_config config __attribute__((aligned(0x1000)));

int main(void)
{
    uint64_t status = rsi_realm_config((uint64_t)&config);
    if (status != RSI_SUCCESS) {
        print("RSI_REALM_CONFIG answers %lu\n", status);
        return 1;
    }
    print("hello from @NAME@: %lu MiB of RAM at 0x%lx, %lu-bit IPA space\n", realm_entry.ram_size >> 20,
          realm_entry.ram_base, config.ipa_width);
    return 0;
}
