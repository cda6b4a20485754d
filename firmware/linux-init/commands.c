/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands that need no busybox. */
#include "linux.h"

#define REPORT "/sys/kernel/config/tsm/report/ccabridge"
enum { CHALLENGE = 64, LEAST = 32, TOKEN = 1 << 16, LINE = 32 };

static unsigned char buffer[TOKEN];

static int echo(int count, char **words)
{
    for (int i = 1; i < count; i++) {
        put(1, words[i]);
        if (i + 1 < count)
            put(1, " ");
    }
    put(1, "\n");
    return 0;
}

static int cat(int count, char **words)
{
    int status = 0;
    for (int i = 1; i < count; i++) {
        long fd = open(words[i], O_RDONLY);
        long got = fd;
        while (fd >= 0 && (got = read(fd, buffer, sizeof buffer)) > 0)
            (void)write_all(1, buffer, (size_t)got);
        if (got < 0)
            complain("cat", words[i], got), status = 1;
        if (fd >= 0)
            close(fd);
    }
    return status;
}

static int ls(int count, char **words)
{
    const char *path = count > 1 ? words[1] : ".";
    long fd = open(path, O_RDONLY | O_DIRECTORY);
    long got = fd;
    while (fd >= 0 && (got = SYSCALL(SYS_GETDENTS64, fd, buffer, sizeof buffer, 0, 0)) > 0) {
        /* struct linux_dirent64: inode, offset (8 bytes each), length of the record (2), type (1), name. */
        for (long at = 0; at + 19 < got;) {
            uint16_t record;
            memcpy(&record, buffer + at + 16, sizeof record);
            const char *name = (const char *)buffer + at + 19;
            if (!same(name, ".") && !same(name, ".."))
                put(1, name), put(1, "\n");
            if (record < 20)
                break;
            at += record;
        }
    }
    if (got < 0)
        complain("ls", path, got);
    if (fd >= 0)
        close(fd);
    return got < 0;
}

static int uname(void)
{
    char fields[6][65];
    long error = SYSCALL(SYS_UNAME, fields, 0, 0, 0, 0);
    if (error < 0)
        return complain("uname", "", error), 1;
    gather(fields[0]), gather(" "), gather(fields[2]), gather(" "), gather(fields[4]);
    put_gathered(1);
    return 0;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The bytes of a hexadecimal text, or -1. */
static int from_hex(const char *text, unsigned char *to)
{
    int size = 0;
    for (; text[0]; text += 2, size++) {
        if (size == CHALLENGE || digit(text[0]) < 0 || digit(text[1]) < 0)
            return -1;
        to[size] = (unsigned char)(digit(text[0]) << 4 | digit(text[1]));
    }
    return size;
}

static void put_hex(const unsigned char *from, long size)
{
    static const char digits[] = "0123456789abcdef";
    char line[2 * LINE + 1];
    for (long at = 0; at < size; at += LINE) {
        size_t used = 0;
        for (long i = at; i < size && i < at + LINE; i++) {
            line[used++] = digits[from[i] >> 4];
            line[used++] = digits[from[i] & 15];
        }
        line[used++] = '\n';
        (void)write_all(1, line, used);
    }
}

static long put_file(const char *path, const void *from, size_t size, long flags)
{
    long fd = open(path, O_WRONLY | flags);
    if (fd < 0)
        return fd;
    /* One write: a configfs attribute takes its value whole. */
    long done = write(fd, from, size);
    long closed = close(fd);
    return done < 0 ? done : closed;
}

/* Linux, Documentation/ABI/testing/configfs-tsm-report: a directory, a challenge into inblob, a token from outblob. */
int measure(int count, char **words)
{
    unsigned char challenge[CHALLENGE];
    memset(challenge, 0, sizeof challenge);
    int size = count > 1 ? from_hex(words[1], challenge) : CHALLENGE;
    if (size <= 0 || count > 3) {
        put(2, "usage: measure [CHALLENGE [FILE]]: up to 64 bytes, in hexadecimal\n");
        return 2;
    }
    const char *what = "the directory " REPORT " (is arm-cca-guest loaded?)";
    long error = mkdir(REPORT);
    if (error >= 0) {
        what = "inblob";
        /* arm-cca-guest wants 32 bytes, and fills up with zeros itself. */
        error = put_file(REPORT "/inblob", challenge, size < LEAST ? LEAST : (size_t)size, 0);
        if (error >= 0) {
            what = "outblob";
            error = read_file(REPORT "/outblob", (char *)buffer, sizeof buffer);
        }
        if (error >= 0 && count > 2) {
            what = words[2];
            long failed = put_file(words[2], buffer, (size_t)error, O_CREAT | O_TRUNC);
            error = failed < 0 ? failed : error;
        } else if (error >= 0) {
            put(1, "-----BEGIN CCA TOKEN-----\n");
            put_hex(buffer, error);
            put(1, "-----END CCA TOKEN-----\n");
        }
        (void)rmdir(REPORT);
    }
    if (error < 0)
        complain("measure:", what, error);
    return error < 0;
}

static int help(void)
{
    put(1, "cat FILE…, echo WORDS, exit [N], false, help, ls [DIR], measure [CHALLENGE [FILE]], true, uname, "
           "/PATH/OF/A/PROGRAM WORDS\n");
    return 0;
}

int run_builtin(int count, char **words, int *status)
{
    const char *name = words[0];
    if (same(name, "echo"))
        *status = echo(count, words);
    else if (same(name, "cat"))
        *status = cat(count, words);
    else if (same(name, "ls"))
        *status = ls(count, words);
    else if (same(name, "uname"))
        *status = uname();
    else if (same(name, "measure"))
        *status = measure(count, words);
    else if (same(name, "help"))
        *status = help();
    else if (same(name, "true") || same(name, ":"))
        *status = 0;
    else if (same(name, "false"))
        *status = 1;
    else
        return 0;
    return 1;
}
