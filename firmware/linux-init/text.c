/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "linux.h"

char **environment;

size_t length(const char *text)
{
    size_t n = 0;
    while (text[n])
        n++;
    return n;
}

int same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

long write_all(long fd, const void *from, size_t size)
{
    const char *at = from;
    while (size) {
        long done = write(fd, at, size);
        if (done == -EINTR)
            continue;
        if (done <= 0)
            return done ? done : -EINVAL;
        at += done;
        size -= (size_t)done;
    }
    return 0;
}

void put(long fd, const char *text)
{
    (void)write_all(fd, text, length(text));
}

/* What is gathered here goes out with one write: messages of the kernel would stand between several. */
static char gathered[512];
static size_t used;

void gather(const char *text)
{
    while (*text && used < sizeof gathered)
        gathered[used++] = *text++;
}

void gather_number(long number)
{
    char digits[24];
    size_t at = sizeof digits - 1;
    unsigned long rest = number < 0 ? 0UL - (unsigned long)number : (unsigned long)number;
    digits[at] = 0;
    do
        digits[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0)
        digits[--at] = '-';
    gather(digits + at);
}

void put_gathered(long fd)
{
    if (used == sizeof gathered)
        used--;
    gathered[used++] = '\n';
    (void)write_all(fd, gathered, used);
    used = 0;
}

static const char *error_name(long error)
{
    switch (error) {
    case 1: return "EPERM";
    case 2: return "ENOENT";
    case 5: return "EIO";
    case 6: return "ENXIO";
    case 8: return "ENOEXEC";
    case 12: return "ENOMEM";
    case 13: return "EACCES";
    case 16: return "EBUSY";
    case 17: return "EEXIST";
    case 19: return "ENODEV";
    case 20: return "ENOTDIR";
    case 21: return "EISDIR";
    case 22: return "EINVAL";
    case 28: return "ENOSPC";
    case 30: return "EROFS";
    case 38: return "ENOSYS";
    case 110: return "ETIMEDOUT";
    default: return 0;
    }
}

void complain(const char *what, const char *name, long error)
{
    const char *text = error_name(error < 0 ? -error : error);
    gather("ccabridge-init: ");
    gather(what);
    gather(" ");
    gather(name);
    gather(": ");
    if (text)
        gather(text);
    else
        gather("error "), gather_number(error < 0 ? -error : error);
    put_gathered(2);
}

long read_file(const char *path, char *to, size_t size)
{
    long fd = open(path, O_RDONLY);
    if (fd < 0)
        return fd;
    size_t have = 0;
    long got = 0;
    while (have < size - 1 && (got = read(fd, to + have, size - 1 - have)) != 0) {
        if (got == -EINTR)
            continue;
        if (got < 0)
            break;
        have += (size_t)got;
    }
    to[have] = 0;
    close(fd);
    return got < 0 ? got : (long)have;
}

char *next_line(char **at)
{
    char *line = *at;
    if (!*line)
        return 0;
    char *end = line;
    while (*end && *end != '\n')
        end++;
    *at = *end ? end + 1 : end;
    *end = 0;
    return line;
}
