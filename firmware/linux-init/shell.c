/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small shell: words, quotes, `#`, `;`, `&&`, `||` and new lines; no variables, no redirection. */
#include "linux.h"

enum { MAX_WORDS = 64, MAX_LINE = 4096, SIGCHLD = 17 };

enum operator { END, THEN, AND, OR, BAD };

int run_program(const char *path, char *const *words)
{
    long child = SYSCALL(SYS_CLONE, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        long error = SYSCALL(SYS_EXECVE, path, words, environment, 0, 0);
        complain("run", path, error);
        (void)SYSCALL(SYS_EXIT_GROUP, 127, 0, 0, 0, 0);
    }
    if (child < 0)
        return complain("run", path, child), 127;
    for (;;) {
        int state = 0;
        long who = SYSCALL(SYS_WAIT4, -1, &state, 0, 0, 0);
        if (who == child)
            return state & 0x7f ? 128 + (state & 0x7f) : state >> 8 & 0xff;
        /* Another one is an orphan that init has inherited. */
        if (who < 0 && who != -EINTR)
            return complain("wait for", path, who), 127;
    }
}

static int blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Takes one command off *at: its words, quotes removed in place, and what stands after it. */
static enum operator parse(char **at, char **words, int *count)
{
    char *from = *at;
    *count = 0;
    for (;;) {
        while (blank(*from))
            from++;
        if (*from == '#')
            while (*from && *from != '\n')
                from++;
        enum operator found = BAD;
        if (!*from)
            found = END;
        else if (*from == ';' || *from == '\n')
            from++, found = THEN;
        else if (from[0] == '&' && from[1] == '&')
            from += 2, found = AND;
        else if (from[0] == '|' && from[1] == '|')
            from += 2, found = OR;
        if (found != BAD) {
            words[*count] = 0;
            *at = from;
            return found;
        }
        if (*count == MAX_WORDS - 1)
            return BAD;
        char *to = from;
        char quote = 0;
        words[(*count)++] = to;
        for (; *from; from++) {
            if (quote ? *from == quote : *from == '"' || *from == '\'') {
                quote = quote ? 0 : *from;
                continue;
            }
            if (!quote) {
                if (blank(*from) || *from == ';' || *from == '\n')
                    break;
                if ((from[0] == '&' && from[1] == '&') || (from[0] == '|' && from[1] == '|'))
                    break;
            }
            *to++ = *from;
        }
        if (quote)
            return BAD;
        /* The word's end may overwrite the operator that ends it. */
        if (to == from && *from && !blank(*from)) {
            char mark = *from;
            enum operator after = mark == '&' ? AND : mark == '|' ? OR : THEN;
            *to = 0;
            *at = from + (after == THEN ? 1 : 2);
            words[*count] = 0;
            return after;
        }
        if (*from && to == from)
            from++;
        *to = 0;
    }
}

static int status_of(const char *text, int otherwise)
{
    int status = 0;
    if (!text)
        return otherwise;
    for (; *text >= '0' && *text <= '9' && status < 1000; text++)
        status = 10 * status + (*text - '0');
    return *text ? 2 : status & 0xff;
}

/* Runs a text; *leave is set by `exit`. */
static int run_text(char *text, int status, int *leave)
{
    char *words[MAX_WORDS];
    enum operator before = THEN;
    while (!*leave) {
        int count;
        enum operator after = parse(&text, words, &count);
        if (after == BAD) {
            put(2, "ccabridge-init: a quote that does not end, or too many words\n");
            return 2;
        }
        int wanted = before == THEN || (before == AND && status == 0) || (before == OR && status != 0);
        if (count && wanted) {
            if (same(words[0], "exit")) {
                *leave = 1;
                return status_of(words[1], status);
            }
            if (!run_builtin(count, words, &status)) {
                if (words[0][0] == '/')
                    status = run_program(words[0], words);
                else
                    complain("run", words[0], ENOENT), status = 127;
            }
        }
        if (after == END)
            break;
        if (count)
            before = after;
    }
    return status;
}

int run_script(char *text)
{
    int leave = 0;
    return run_text(text, 0, &leave);
}

int run_shell(void)
{
    static char line[MAX_LINE];
    int leave = 0, status = 0;
    put(1, "ccabridge-init: no busybox, but a small shell: `help` says what it knows\n");
    while (!leave) {
        put(1, "# ");
        size_t have = 0;
        while (have < sizeof line - 1) {
            long got = read(0, line + have, 1);
            if (got == -EINTR)
                continue;
            if (got <= 0)
                return status;
            if (line[have++] == '\n')
                break;
        }
        line[have] = 0;
        status = run_text(line, status, &leave);
    }
    return status;
}
