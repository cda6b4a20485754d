/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The requests of the service, as direct messages: X3 = one of these, X4..X7 its arguments; back X3 = a result, X4..X7
 * as each says. */
#ifndef REQUESTS_H
#define REQUESTS_H

#include <stdint.h>

enum service_request {
    SERVICE_ECHO = 1,  /* any four words; back: the same */
    SERVICE_SUM,       /* PA of a Non-secure buffer, bytes (multiples of 8); back: the sum of its 64-bit words */
    SERVICE_TAKE,      /* PA: takes the granule and writes a secret; back: its FNV-1a, faults of the accesses tried */
    SERVICE_GIVE_BACK, /* PA */
    SERVICE_CHECK,     /* back: FNV-1a of the service's code and of the granule taken last; PA of code and data */
    SERVICE_COUNTERS,  /* back: requests served, granules held, system counter, faults met */
    SERVICE_PROBE,     /* PA, enum access, 1 for a Non-secure address; back: ESR_EL1, FAR_EL1, faults, 1 if it is as
                        * it must be */
    SERVICE_YIELD,     /* times to yield before the answer; back: the same */
    SERVICE_TIMER,     /* PA of the PE's SGI_base frame, ticks, times: the Secure timer interrupts so often */
    SERVICE_SPIN,      /* iterations, 1 to take interrupts meanwhile; back: iterations, interrupts taken meanwhile */
    SERVICE_INTERRUPTS, /* back: taken, of these by FFA_INTERRUPT, strange ones, timers to come */
    SERVICE_CALL,      /* function id, argument: an SMC to the monitor; back: X0, X2 of the result */
};

enum service_result {
    SERVICE_OK,
    SERVICE_UNKNOWN, /* no such request */
    SERVICE_INPUT,   /* an argument is wrong */
    SERVICE_REFUSED, /* the monitor's status in X4 */
    SERVICE_FAULT,   /* ESR_EL1, FAR_EL1 */
};

#endif
