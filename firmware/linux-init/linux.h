/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System calls of arm64 Linux (include/uapi/asm-generic/unistd.h), without a C library. */
#ifndef LINUX_INIT_LINUX_H
#define LINUX_INIT_LINUX_H

#include <stddef.h>
#include <stdint.h>

#include "mem.h"

enum {
    SYS_DUP3 = 24,
    SYS_FCNTL = 25,
    SYS_IOCTL = 29,
    SYS_MKDIRAT = 34,
    SYS_UNLINKAT = 35,
    SYS_MOUNT = 40,
    SYS_OPENAT = 56,
    SYS_CLOSE = 57,
    SYS_GETDENTS64 = 61,
    SYS_READ = 63,
    SYS_WRITE = 64,
    SYS_SYNC = 81,
    SYS_EXIT_GROUP = 94,
    SYS_NANOSLEEP = 101,
    SYS_SYSLOG = 116,
    SYS_REBOOT = 142,
    SYS_SETSID = 157,
    SYS_UNAME = 160,
    SYS_GETPID = 172,
    SYS_CLONE = 220,
    SYS_EXECVE = 221,
    SYS_WAIT4 = 260,
    SYS_FINIT_MODULE = 273,
};

enum { ENOENT = 2, EINTR = 4, ENOEXEC = 8, EBADF = 9, EBUSY = 16, EEXIST = 17, ENODEV = 19, EINVAL = 22 };
enum { O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0100, O_TRUNC = 01000, O_DIRECTORY = 040000 };

#define AT_FDCWD (-100)
#define AT_REMOVEDIR 0x200

static inline long syscall5(long number, long a, long b, long c, long d, long e)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory", "cc");
    return x0;
}

#define ARG(value) ((long)(value))
#define SYSCALL(number, a, b, c, d, e) syscall5(number, ARG(a), ARG(b), ARG(c), ARG(d), ARG(e))

/* Each returns the kernel's result: negative is -errno. */
static inline long open(const char *path, long flags) { return SYSCALL(SYS_OPENAT, AT_FDCWD, path, flags, 0644, 0); }
static inline long close(long fd) { return SYSCALL(SYS_CLOSE, fd, 0, 0, 0, 0); }
static inline long read(long fd, void *to, size_t size) { return SYSCALL(SYS_READ, fd, to, size, 0, 0); }
static inline long write(long fd, const void *from, size_t size) { return SYSCALL(SYS_WRITE, fd, from, size, 0, 0); }
static inline long mkdir(const char *path) { return SYSCALL(SYS_MKDIRAT, AT_FDCWD, path, 0755, 0, 0); }
static inline long rmdir(const char *path) { return SYSCALL(SYS_UNLINKAT, AT_FDCWD, path, AT_REMOVEDIR, 0, 0); }

/* text.c */
extern char **environment;
size_t length(const char *text);
int same(const char *a, const char *b);
/* Writes all of it, or as much as the file takes; 0 or -errno. */
long write_all(long fd, const void *from, size_t size);
void put(long fd, const char *text);
/* A line in pieces, then its end; cut off at 511 characters. */
void gather(const char *text);
void gather_number(long number);
void put_gathered(long fd);
/* `ccabridge-init: WHAT NAME: ` and the error's name, on standard error. */
void complain(const char *what, const char *name, long error);
/* Up to size - 1 bytes of a file, with a 0 after them; their number or -errno. */
long read_file(const char *path, char *to, size_t size);
/* The next line of *at, which then ends in 0; NULL after the last. */
char *next_line(char **at);

/* commands.c: what init does itself when there is no busybox.  The exit status of a command, or -1 for `exit`. */
int run_builtin(int count, char **words, int *status);
/* 0 or the number of an exit status. */
int measure(int count, char **words);

/* shell.c: a line at a time; the status of the last command. */
int run_script(char *text);
int run_shell(void);
/* Runs a program and waits for it; its exit status, 128 + N for signal N, 127 when it cannot be run. */
int run_program(const char *path, char *const *words);

#endif
