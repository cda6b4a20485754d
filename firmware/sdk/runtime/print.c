/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "print.h"

#include <stdarg.h>
#include <stdint.h>

#include "mem.h"

#define LINE 240

/* Output of one print() is gathered, so that a line costs the realm one host call. */
struct line {
    size_t used;
    char text[LINE];
};

static void flush(struct line *line)
{
    if (line->used)
        console_write(line->text, line->used);
    line->used = 0;
}

static void put(struct line *line, char c)
{
    line->text[line->used++] = c;
    if (line->used == LINE)
        flush(line);
}

struct spec {
    unsigned width;
    int left, zero, is_long;
};

static void put_padded(struct line *line, const struct spec *spec, const char *sign, const char *text, size_t length)
{
    size_t signs = strlen(sign);
    size_t padding = spec->width > length + signs ? spec->width - length - signs : 0;
    if (!spec->left && !spec->zero)
        for (; padding; padding--)
            put(line, ' ');
    while (*sign)
        put(line, *sign++);
    if (!spec->left)
        for (; padding; padding--)
            put(line, '0');
    for (size_t i = 0; i < length; i++)
        put(line, text[i]);
    for (; padding; padding--)
        put(line, ' ');
}

static void put_number(struct line *line, const struct spec *spec, const char *sign, uint64_t value, unsigned base)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    put_padded(line, spec, sign, digits + at, sizeof digits - at);
}

static void put_conversion(struct line *line, char kind, const struct spec *given, va_list *args)
{
    struct spec spec = *given;
    switch (kind) {
    case 's': {
        const char *text = va_arg(*args, const char *);
        spec.zero = 0;
        put_padded(line, &spec, "", text, strlen(text));
        break;
    }
    case 'c': {
        char c = (char)va_arg(*args, int);
        spec.zero = 0;
        put_padded(line, &spec, "", &c, 1);
        break;
    }
    case 'd': {
        int64_t value = spec.is_long ? va_arg(*args, int64_t) : va_arg(*args, int);
        put_number(line, &spec, value < 0 ? "-" : "", value < 0 ? -(uint64_t)value : (uint64_t)value, 10);
        break;
    }
    case 'u':
    case 'x': {
        uint64_t value = spec.is_long ? va_arg(*args, uint64_t) : va_arg(*args, unsigned);
        put_number(line, &spec, "", value, kind == 'x' ? 16 : 10);
        break;
    }
    default:
        put(line, kind);
    }
}

void print(const char *format, ...)
{
    struct line line;
    line.used = 0;
    va_list args;
    va_start(args, format);
    for (const char *at = format; *at; at++) {
        if (*at != '%') {
            put(&line, *at);
            continue;
        }
        struct spec spec = {0, 0, 0, 0};
        for (at++; *at == '-' || *at == '0'; at++) {
            spec.left |= *at == '-';
            spec.zero |= *at == '0';
        }
        for (; *at >= '0' && *at <= '9'; at++)
            spec.width = spec.width * 10 + (unsigned)(*at - '0');
        for (; *at == 'l'; at++)
            spec.is_long = 1;
        if (!*at)
            break;
        put_conversion(&line, *at, &spec, &args);
    }
    va_end(args);
    flush(&line);
}
