/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mem.h"

/* Keeps the compiler from seeing memcpy in a loop that is memcpy. */
#define OPAQUE() __asm__ volatile("" ::: "memory")

static int aligned8(const void *a, const void *b)
{
    return (((uintptr_t)a | (uintptr_t)b) & 7) == 0;
}

void *memcpy(void *to, const void *from, size_t size)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    if (aligned8(to, from)) {
        for (; size >= 8; size -= 8, t += 8, f += 8) {
            *(uint64_t *)(void *)t = *(const uint64_t *)(const void *)f;
            OPAQUE();
        }
    }
    for (; size; size--) {
        *t++ = *f++;
        OPAQUE();
    }
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    if ((uintptr_t)to - (uintptr_t)from >= size)
        return memcpy(to, from, size);
    uint8_t *t = to;
    const uint8_t *f = from;
    while (size--) {
        t[size] = f[size];
        OPAQUE();
    }
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    uint8_t *t = to;
    if (aligned8(to, 0)) {
        uint64_t word = 0x0101010101010101UL * (uint8_t)byte;
        for (; size >= 8; size -= 8, t += 8) {
            *(uint64_t *)(void *)t = word;
            OPAQUE();
        }
    }
    for (; size; size--) {
        *t++ = (uint8_t)byte;
        OPAQUE();
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const uint8_t *x = a, *y = b;
    for (size_t i = 0; i < size; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

size_t strlen(const char *text)
{
    size_t length = 0;
    while (text[length]) {
        length++;
        OPAQUE();
    }
    return length;
}

uint64_t fnv1a(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t hash = 0xcbf29ce484222325UL;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3UL;
    return hash;
}
