/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first process of a realm's Linux: mounts, loads modules, runs what it was told to, says how that ended.
 * What it is told stands in the initramfs (machine/vmm/linux/initramfs.py):
 *     /ccabridge/modules   paths of modules, one a line, those that others need first
 *     /ccabridge/mounts    `TAG DIRECTORY`, one a line: 9p over virtio
 *     /ccabridge/script    what to run; without it, a shell */
#include "linux.h"

enum { TEXT = 1 << 16, F_GETFD = 1, TCSBRK = 0x5409, TIOCSCTTY = 0x540e, CONSOLE_OFF = 6, CONSOLE_ON = 7 };
#define REBOOT_MAGIC 0xfee1deadUL
#define REBOOT_MAGIC2 672274793UL
#define POWER_OFF 0x4321fedcUL

static char text[TEXT];

static void mount(const char *type, const char *from, const char *at, const char *options, int needed)
{
    (void)mkdir(at);
    long error = SYSCALL(SYS_MOUNT, from, at, type, 0, options);
    if (error < 0 && needed)
        complain("mount", at, error);
}

static void greet(void)
{
    char fields[6][65];
    gather("ccabridge-init: ");
    if (SYSCALL(SYS_UNAME, fields, 0, 0, 0, 0) >= 0)
        gather(fields[0]), gather(" "), gather(fields[2]), gather(" on "), gather(fields[4]);
    put_gathered(1);
}

/* The status of it all, alone on its line: whoever watches the console waits for it.  The kernel is silent meanwhile;
 * tcdrain, since what stands in the terminal's buffer is lost when the power goes. */
static void report(int status)
{
    (void)SYSCALL(SYS_SYSLOG, CONSOLE_OFF, 0, 0, 0, 0);
    (void)SYSCALL(SYS_IOCTL, 1, TCSBRK, 1, 0, 0);
    gather("ccabridge-init: exit ");
    gather_number(status);
    put_gathered(1);
    (void)SYSCALL(SYS_IOCTL, 1, TCSBRK, 1, 0, 0);
    (void)SYSCALL(SYS_SYSLOG, CONSOLE_ON, 0, 0, 0, 0);
}

/* The kernel gives its first process a console if it has one by then: hvc0 may need modules, and a moment after them. */
static int has_console(void)
{
    return SYSCALL(SYS_FCNTL, 1, F_GETFD, 0, 0, 0) != -EBADF;
}

static void open_console(void)
{
    static const long moment[2] = {0, 10 * 1000 * 1000}; /* struct timespec: 10 ms */
    long fd = -1;
    for (int i = 0; i < 500 && (fd = open("/dev/console", O_RDWR)) < 0; i++)
        (void)SYSCALL(SYS_NANOSLEEP, moment, 0, 0, 0, 0);
    for (long to = 0; fd >= 0 && to < 3; to++)
        if (to != fd)
            (void)SYSCALL(SYS_DUP3, fd, to, 0, 0, 0);
    if (fd > 2)
        close(fd);
}

static void load_modules(void)
{
    if (read_file("/ccabridge/modules", text, sizeof text) < 0)
        return;
    char *rest = text, *path;
    while ((path = next_line(&rest))) {
        long fd = open(path, O_RDONLY);
        long error = fd < 0 ? fd : SYSCALL(SYS_FINIT_MODULE, fd, "", 0, 0, 0);
        if (fd >= 0)
            close(fd);
        if (error < 0 && error != -EEXIST)
            complain("module", path, error);
    }
}

static void mount_shares(void)
{
    if (read_file("/ccabridge/mounts", text, sizeof text) < 0)
        return;
    char *rest = text, *tag;
    while ((tag = next_line(&rest))) {
        char *at = tag;
        while (*at && *at != ' ')
            at++;
        if (!*at)
            continue;
        *at++ = 0;
        mount("9p", tag, at, "trans=virtio,version=9p2000.L", 1);
    }
}

/* A shell with job control needs the console's own terminal: /dev/console cannot be one. */
static void take_terminal(void)
{
    char path[64] = "/dev/";
    char names[128];
    if (read_file("/sys/class/tty/console/active", names, sizeof names) <= 0)
        return;
    size_t end = length(names);
    while (end && (names[end - 1] == '\n' || names[end - 1] == ' '))
        names[--end] = 0;
    size_t start = end;
    while (start && names[start - 1] != ' ')
        start--;
    if (end - start >= sizeof path - 6)
        return;
    memcpy(path + 5, names + start, end - start + 1);
    (void)SYSCALL(SYS_SETSID, 0, 0, 0, 0, 0);
    long fd = open(path, O_RDWR);
    if (fd < 0)
        return;
    (void)SYSCALL(SYS_IOCTL, fd, TIOCSCTTY, 1, 0, 0);
    for (long to = 0; to < 3; to++)
        (void)SYSCALL(SYS_DUP3, fd, to, 0, 0, 0);
    if (fd > 2)
        close(fd);
}

static int work(void)
{
    static char *const install[] = {"busybox", "--install", "-s", "/bin", 0};
    static char *const shell[] = {"sh", "-i", 0};
    static char *const script[] = {"sh", "/ccabridge/script", 0};
    long busybox = open("/bin/busybox", O_RDONLY);
    if (busybox >= 0) {
        close(busybox);
        (void)run_program("/bin/busybox", install);
    }
    long size = read_file("/ccabridge/script", text, sizeof text);
    if (size < 0) {
        take_terminal();
        return busybox >= 0 ? run_program("/bin/busybox", shell) : run_shell();
    }
    if (busybox >= 0)
        return run_program("/bin/busybox", script);
    if (size == sizeof text - 1)
        return complain("read", "/ccabridge/script", EINVAL), 2;
    return run_script(text);
}

int init_main(long *stack)
{
    static char *variables[] = {"HOME=/", "PATH=/bin:/sbin:/usr/bin:/usr/sbin", "TERM=vt100", 0};
    int count = (int)stack[0];
    char **words = (char **)(stack + 1);
    environment = variables;
    const char *name = count > 0 ? words[0] : "/init";
    for (const char *at = name; *at; at++)
        if (*at == '/')
            name = at + 1;
    /* /bin/measure is this program too, for busybox's shell. */
    if (!same(name, "init"))
        return measure(count, words);
    if (SYSCALL(SYS_GETPID, 0, 0, 0, 0, 0) != 1)
        return put(2, "ccabridge-init: not the first process\n"), 2;
    mount("devtmpfs", "dev", "/dev", "", 1);
    mount("proc", "proc", "/proc", "", 1);
    mount("sysfs", "sys", "/sys", "", 1);
    int early = has_console();
    if (early)
        greet();
    load_modules();
    if (!early) {
        open_console();
        greet();
    }
    /* Absent where configfs is a module that was not asked for. */
    mount("configfs", "config", "/sys/kernel/config", "", 0);
    mount_shares();
    report(work());
    (void)SYSCALL(SYS_SYNC, 0, 0, 0, 0, 0);
    long error = SYSCALL(SYS_REBOOT, REBOOT_MAGIC, REBOOT_MAGIC2, POWER_OFF, 0, 0);
    complain("power", "off", error);
    for (;;)
        (void)SYSCALL(SYS_WAIT4, -1, 0, 0, 0, 0);
}
