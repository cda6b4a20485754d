/* @NAME@: host firmware at NS-EL2.  The contract is docs/payload.md of ccabridge; the calls are in rmi.h. */
#include "host.h"
#include "rmi.h"

#define FIELD(value, name) ((uint64_t)(((value) & name##_MASK) >> name##_SHIFT))

int main(const struct ccab_host_info *info, uint64_t x1, uint64_t x2, uint64_t x3)
{
    (void)x1, (void)x2, (void)x3;
    if (!info || info->magic != CCAB_INFO_MAGIC || info->version != CCAB_INFO_VERSION)
        return 2;

    uint64_t lower, higher, features;
    if (rmi_version(RMI_REVISION, &lower, &higher) != RMI_SUCCESS)
        return 3;
    rmi_features(0, &features);
    print("hello from @NAME@: RMI %lu.%lu, realms of up to %lu IPA bits\n", higher >> 16, higher & 0xffff,
          FIELD(features, RMI_FEATURE0_S2SZ));

    /* A page of the pool becomes Realm memory: a load of it would now be a granule protection fault. */
    uint64_t granule = info->pool_pa;
    uint64_t status = rmi_granule_delegate(granule);
    print("RMI_GRANULE_DELEGATE(0x%lx) = %u\n", granule, RMI_STATUS(status));
    if (status != RMI_SUCCESS)
        return 4;
    status = rmi_granule_undelegate(granule);
    print("RMI_GRANULE_UNDELEGATE(0x%lx) = %u, and it holds 0x%lx\n", granule, RMI_STATUS(status),
          *(volatile uint64_t *)granule);
    return status == RMI_SUCCESS ? 0 : 5;
}
