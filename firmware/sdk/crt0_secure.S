/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry of a service in the Secure world: S-EL1, MMU off. */
#include "vectors.h"

    START secure_start, el1
    VECTORS secure_exception, el1
