/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where EL2's controls send what EL0 and EL1 do (Arm ARM D1.3, D13.2.48 HCR_EL2). */
#include "traps.h"

#define MDCR_TDE (1ull << 8)

uint64_t cca_hcr(struct cca_core *c)
{
    if (c->cfg.el != 2) return 0;
    cca_refresh_mmu(c);
    return c->mmu.hcr_el2;
}

unsigned cca_own_target(struct cca_core *c, unsigned el)
{
    if (el != 0) return el;
    return cca_hcr(c) & HCR_TGE ? 2 : 1;
}

unsigned cca_debug_target(struct cca_core *c, unsigned el)
{
    if (el == 2 || c->cfg.el != 2) return el == 0 ? 1 : el;
    if (cca_hcr(c) & HCR_TGE) return 2;
    return engine_sysreg(c->e, CCA_SYSREG(3, 4, 1, 1, 1)) & MDCR_TDE ? 2 : 1;
}
