/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Normal-world caller of the service. */
#ifndef CLIENT_H
#define CLIENT_H

#include "ffa.h"
#include "requests.h"

/* Versions, buffers (two pages at `buffers`), the partition's descriptor: its id, or an FF-A status. */
int32_t client_open(uint64_t buffers);
/* The id that client_open found. */
extern uint16_t client_service;
/* FFA_RUNs that the last request needed. */
extern unsigned client_runs;
/* One request: payload[0] is the request, then the result.  0, or an FF-A status. */
int32_t client_request(uint64_t payload[5]);
/* The same with its arguments; the result, or SERVICE_UNKNOWN when FF-A refuses. */
uint64_t client_ask(enum service_request request, uint64_t a, uint64_t b, uint64_t c, uint64_t out[4]);

#endif
