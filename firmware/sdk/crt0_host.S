/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry of host firmware: NS-EL2, MMU off, X0 = host information block (docs/payload.md). */
#include "vectors.h"

    START host_start, el2
    SECONDARY host_secondary_start, el2
    VECTORS host_exception, el2
