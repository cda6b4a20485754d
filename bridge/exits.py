# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a core stopped: the plugin's exit reasons and trace events by name (plugin_c/cca.h)."""

from __future__ import annotations

from enum import IntEnum, IntFlag

from bridge.plugin import lib


class Reason(IntEnum):
    """`cca_exit.reason`; what each fills is said in cca.h."""

    SMC = lib.CCA_EXIT_SMC
    HVC = lib.CCA_EXIT_HVC
    S2_FAULT = lib.CCA_EXIT_S2_FAULT
    MMIO = lib.CCA_EXIT_MMIO
    WFI = lib.CCA_EXIT_WFI
    WFX_TRAP = lib.CCA_EXIT_WFX_TRAP
    SLICE = lib.CCA_EXIT_SLICE
    TIMER = lib.CCA_EXIT_TIMER
    SYSREG = lib.CCA_EXIT_SYSREG
    SEMIHOST = lib.CCA_EXIT_SEMIHOST
    AARCH32 = lib.CCA_EXIT_AARCH32
    LOOP = lib.CCA_EXIT_LOOP
    GPC = lib.CCA_EXIT_GPC
    MMIO_FORM = lib.CCA_EXIT_MMIO_FORM
    ENGINE = lib.CCA_EXIT_ENGINE
    LIMIT = lib.CCA_EXIT_LIMIT
    UNDEF_EL2 = lib.CCA_EXIT_UNDEF_EL2
    ABORTED = lib.CCA_EXIT_ABORTED
    FIQ = lib.CCA_EXIT_FIQ
    IRQ = lib.CCA_EXIT_IRQ
    DEBUG = lib.CCA_EXIT_DEBUG


class DebugReason(IntFlag):
    """`cca_exit.debug`: what a debugger's stop is for; several may fall together."""

    ASKED = lib.CCA_DEBUG_ASKED
    BREAK = lib.CCA_DEBUG_BREAK
    STEP = lib.CCA_DEBUG_STEP
    COUNT = lib.CCA_DEBUG_COUNT
    WATCH = lib.CCA_DEBUG_WATCH
    GPF = lib.CCA_DEBUG_GPF


class EventKind(IntEnum):
    """`cca_event.kind`."""

    UNKNOWN_SYSREG = lib.CCA_EVENT_UNKNOWN_SYSREG
    EXCEPTION = lib.CCA_EVENT_EXCEPTION
    GPF = lib.CCA_EVENT_GPF
    INTERRUPT = lib.CCA_EVENT_INTERRUPT
