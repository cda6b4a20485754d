# SPDX-License-Identifier: GPL-2.0-or-later
"""Awkward hosts: what a realm sees of each way (rmm-abi.md, sections below), and that without it nothing shows."""

from __future__ import annotations

import re

from tests.system.cli import Result, ccabridge

ONE_REALM = "realms=[{name: a, image: 'firmware:awkward', recs: 2, ram: {base: 0x8000_0000, size: 16M}}]"


def host(*behaviours: str) -> Result:
    return ccabridge("run", "awkward", "-s", ONE_REALM, "-s", f"host.behaviour=[{', '.join(behaviours)}]")


def section(result: Result, title: str) -> list[str]:
    """The payload's lines below `TITLE: …`, the answer first."""
    texts = [line.removeprefix("[realm 0] ") for line in result.lines if line.startswith("[realm 0]")]
    first = next(i for i, text in enumerate(texts) if text.startswith(f"{title}: "))
    rest = next((i for i in range(first + 1, len(texts)) if re.match(r"\S.*: ", texts[i])), len(texts))
    return [texts[first].removeprefix(f"{title}: "), *(text.strip() for text in texts[first + 1 : rest])]


def passed(result: Result) -> None:
    assert result.code == 0, result.out[-2000:] + result.err
    match = re.search(r"awkward: (\d+) of (\d+) checks passed", result.out)
    assert match is not None and match[1] == match[2]
    assert "FAIL" not in result.out


def test_kind_host__nothing_shows() -> None:
    result = host()
    passed(result)
    titles = ("RIPAS changes", "PSCI_CPU_ON", "MMIO", "a page of RAM", "a shared page")
    assert [section(result, title)[0] for title in titles] == ["kind"] * 5


def test_reject_ripas__response_is_reject_for_ram_and_no_progress_for_empty() -> None:
    """§4.7"""
    result = host("{type: reject-ripas}")
    passed(result)
    lines = section(result, "RIPAS changes")
    assert lines[0] == "awkward"
    assert {"ok   is rejected", "ok   RIPAS is still RAM"} <= set(lines)


def test_partial_ripas__realm_asks_for_the_rest() -> None:
    """§4.7: the new base is returned, the response is ACCEPT."""
    calls = []
    for pages in (1, 2, 3):
        result = host(f"{{type: partial-ripas, pages: {pages}}}")
        passed(result)
        match = re.search(r"(\d+) RIPAS changes", result.out)
        assert match is not None
        calls.append(int(match[1]))
    # Four pages to EMPTY and back, in 4 + 4, 2 + 2 and 2 + 2 calls; one more page is shared later on.
    assert calls == [9, 5, 5]


def test_deny_cpu_on__caller_gets_denied_and_the_rec_stays_off() -> None:
    """§3.22, §8"""
    result = host("{type: deny-cpu-on, rec: 1}")
    passed(result)
    assert section(result, "PSCI_CPU_ON") == ["awkward", "ok   is denied", "ok   REC 1 never runs", "ok   and is off"]


def test_deny_cpu_on__trace_shows_the_hosts_answer() -> None:
    words = ("run", "--trace=rmi_psci_*", "awkward", "-s", ONE_REALM)
    denied = ccabridge(*words, "-s", "host.behaviour=[{type: deny-cpu-on}]").out
    kind = ccabridge(*words, "-s", "host.behaviour=[]").out
    assert re.search(r"RMI_PSCI_COMPLETE\(.*DENIED", denied)
    assert "RMI_PSCI_COMPLETE(" in kind and "DENIED" not in kind


def test_inject_sea__realm_takes_an_external_abort_with_its_address() -> None:
    """§6.3, §7.1"""
    result = host("{type: inject-sea, ipa: 0x0900_0000}")
    passed(result)
    assert (
        sum(line.startswith("ok   its syndrome is that of an external abort") for line in section(result, "MMIO")) == 2
    )
    assert "0 MMIO" in result.out


def test_inject_sea__another_page_is_not_concerned() -> None:
    result = host("{type: inject-sea, ipa: 0x0901_0000}")
    passed(result)
    assert section(result, "MMIO")[0] == "kind"


def test_ignore_mmio__access_exits_until_it_is_answered() -> None:
    faults = []
    for behaviour in ((), ("{type: ignore-mmio, times: 3}",), ("{type: ignore-mmio, after: 1, times: 2}",)):
        result = host(*behaviour)
        passed(result)
        match = re.search(r"(\d+) faults, 2 MMIO", result.out)
        assert match is not None
        faults.append(int(match[1]))
    assert faults == [faults[0], faults[0] + 3, faults[0] + 2]


def test_ignore_mmio__for_ever_is_a_stuck_realm() -> None:
    result = host("{type: ignore-mmio}")
    assert result.code == 91
    assert "[NS] host: realm 0 is stuck: every access to IPA 0x109000000 exits" in result.lines


def test_evict__ram_is_destroyed_and_recovered_by_the_realm() -> None:
    """§4.7: only CHANGE_DESTROYED makes DESTROYED memory RAM."""
    result = host("{type: evict, ipa: 0x80C0_0000}")
    passed(result)
    lines = section(result, "a page of RAM")
    assert lines[0] == "awkward"
    assert "ok   the host takes it: RIPAS is DESTROYED" in lines and "ok   what it held is gone" in lines
    assert section(result, "a shared page")[0] == "kind"


def test_evict__report_ends_the_realm_at_its_next_access() -> None:
    result = host("{type: evict, ipa: 0x80C0_0000, then: report}")
    assert result.code == 91
    assert section(result, "a page of RAM")[-1] == "reaching for it"
    assert "[NS] host: realm 0 reaches for IPA 0x80c00000, which was evicted" in result.lines


def test_evict__shared_page_comes_back_as_it_was() -> None:
    result = host("{type: evict, ipa: 0x1_80D0_0000}")
    passed(result)
    assert "ok   an access maps it again, as it was" in section(result, "a shared page")
    assert section(result, "a page of RAM")[0] == "kind"


def test_behaviour__concerns_the_named_realm_only() -> None:
    """The shipped machine: four realms, each treated in its own way."""
    result = ccabridge("run", "awkward")
    assert result.code == 0
    ways: dict[str, list[str]] = {}
    for realm, answer in re.findall(r"^\[realm (\d)\] [^:\n]*: (awkward|kind)$", result.out, re.MULTILINE):
        ways.setdefault(realm, []).append(answer)
    k, a = "kind", "awkward"
    ways_expected = {"0": [k] * 6, "1": [a, a, a, k, a], "2": [a, k, a, k, k, a], "3": [k, k, k, a, a, k]}
    assert ways == ways_expected
    assert len(re.findall(r"(\d+) of \1 checks passed", result.out)) == 4


def test_kind_host__a_timers_interrupt_comes_once_and_at_once() -> None:
    """§7.3, §7.5: the host lists what the REC's exit shows to be asserted."""
    result = host()
    passed(result)
    lines = section(result, "a timer")
    assert lines[:3] == ["kind", "ok   its interrupt comes while it is asserted", "ok   at once"]
    assert {"ok   and only once", "ok   armed again, it comes again"} <= set(lines)


def test_delay_interrupt__comes_so_many_exits_late() -> None:
    for exits in (2, 40):
        result = host(f"{{type: delay-interrupt, timer: virtual, exits: {exits}}}")
        passed(result)
        assert {"ok   so many exits late", "ok   the host held both back"} <= set(section(result, "a timer"))


def test_delay_interrupt__of_the_other_timer_alone() -> None:
    result = host("{type: delay-interrupt, timer: physical}")
    passed(result)
    assert section(result, "a timer")[0] == "kind"


def test_duplicate_interrupt__comes_once_more_with_the_timer_quiet() -> None:
    result = host("{type: duplicate-interrupt, times: 1}")
    passed(result)
    assert "ok   and once more, with the timer quiet" in section(result, "a timer")


def test_interrupts__with_a_single_list_register() -> None:
    result = ccabridge("run", "awkward", "-s", "rmm.features.list_registers=1")
    assert result.code == 0 and result.out.count("checks passed") == 4


def test_delay_interrupt__a_realm_that_sleeps_is_not_stuck() -> None:
    """Its WFI is trapped while its interrupt is held back."""
    result = host("{type: delay-interrupt, exits: 100000}")
    # The payload gives up after 1000 host calls: the check that its interrupt came fails, nothing hangs.
    assert result.code == 1 and "FAIL its interrupt comes" in result.out
