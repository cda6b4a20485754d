/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry of a realm payload: R-EL1, MMU off, X0..X4 as docs/payload.md says. */
#include "vectors.h"

    START realm_start, el1
    SECONDARY realm_secondary_start, el1
    VECTORS realm_exception, el1
