/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What cffi asks of Python's build configuration; see Python.h beside this. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#define HAVE_WCHAR_H 1
