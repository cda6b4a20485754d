/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Formatted output to the console: %s %c %d %u %x %lx %lu %ld %%, with a width, `0` and `-`. */
#ifndef PRINT_H
#define PRINT_H

#include <stddef.h>

void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Where print() goes: host.c writes to the host's UART, realm.c makes RSI_HOST_CALLs. */
void console_write(const char *text, size_t length);

#endif
