/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory functions: those that a compiler may call by itself, and a checksum. */
#ifndef MEM_H
#define MEM_H

#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);

/* FNV-1a, 64 bits, of `size` bytes. */
uint64_t fnv1a(const void *data, size_t size);

#endif
