"""What the tests said: dejagnu's summaries, the known causes, and the table of both stubs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from suite import MADE_BY, STOPPED

__all__ = ["BAD", "Outcome", "causes", "parse", "report", "table"]

KINDS: Final = (
    *("PASS", "FAIL", "XFAIL", "XPASS", "KFAIL", "KPASS"),
    *("UNRESOLVED", "UNTESTED", "UNSUPPORTED", "ERROR"),
)
#: What needs a cause.
BAD: Final = ("FAIL", "UNRESOLVED", "ERROR")
_RESULT: Final = re.compile(rf"^({'|'.join(KINDS)}): (.*)$")
_COLUMNS: Final = ("PASS", *BAD, "UNSUPPORTED", "UNTESTED")


@dataclass(slots=True)
class Outcome:
    """One .exp file's results: how many of each kind, and the names of the bad ones."""

    counts: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[str, str]] = field(default_factory=list)
    made_by: str = ""  #: the stub's version
    late: str = ""  #: how long it was given; empty when that was enough

    @property
    def ran(self) -> bool:
        """Whether it tested anything."""
        return bool(self.counts["PASS"] or self.bad)


#: By stub, then by .exp file.
Results = Mapping[str, Mapping[str, Outcome]]


def parse(summary: Path) -> Outcome:
    """The results in a .sum file."""
    outcome = Outcome()
    for line in summary.read_text(errors="replace").splitlines():
        match = _RESULT.match(line)
        if match is not None:
            outcome.counts[match[1]] += 1
            if match[1] in BAD:
                outcome.bad.append((match[1], match[2]))
                outcome.late = match[2].partition(f": {STOPPED} ")[2] or outcome.late
        elif line.startswith(MADE_BY):
            outcome.made_by = line.removeprefix(MADE_BY)
    return outcome


def causes(path: Path) -> list[tuple[re.Pattern[str], str]]:
    """causes.txt: ``pattern => cause`` lines; a pattern is searched in a result's name."""
    known = []
    for line in path.read_text().splitlines():
        pattern, arrow, cause = line.partition(" => ")
        if arrow and not line.startswith("#"):
            known.append((re.compile(pattern), cause))
    return known


def report(results: Results, known: Iterable[tuple[re.Pattern[str], str]]) -> tuple[str, int]:
    """Each bad result of otoriscv with its cause, and how many have none."""
    known = list(known)
    theirs = {name for o in results.get("qemu", {}).values() for _, name in o.bad}
    groups: dict[tuple[str, str], list[str]] = {}
    unknown = 0
    for test, outcome in results.get("otoriscv", {}).items():
        for kind, name in outcome.bad:
            full = name if name.startswith(test.partition("+")[0]) else f"{test}: {name}"
            cause = next((text for pattern, text in known if pattern.search(full)), "")
            unknown += not cause
            mark = "QEMU too" if name in theirs else "QEMU not"
            groups.setdefault((test, cause or "CAUSE UNKNOWN"), []).append(
                f"  {kind}: {name} [{mark}]"
            )
    lines = []
    for (test, cause), names in groups.items():
        lines += [f"{test}: {cause}", *names]
    return "\n".join(lines), unknown


def table(results: Results) -> str:
    """Counts per .exp file, one column pair per stub; files that tested nothing in a line."""
    stubs = list(results)
    tests = list(dict.fromkeys(test for stub in stubs for test in results[stub]))
    head = "".join(f"  {stub:>10}: {' '.join(_short(kind) for kind in _COLUMNS)}" for stub in stubs)
    lines, idle = [f"{'':48}{head}"], []
    totals = {stub: Outcome() for stub in stubs}
    for test in tests:
        found = [results[stub].get(test) for stub in stubs]
        for stub, outcome in zip(stubs, found, strict=True):
            if outcome is not None:
                totals[stub].counts.update(outcome.counts)
        if any(outcome is not None and outcome.ran for outcome in found):
            lines.append(_row(test, found))
        else:
            idle.append(test)
    lines.append(_row("all", [totals[stub] for stub in stubs]))
    if idle:
        lines += ["", f"{len(idle)} files tested nothing on either:", *(f"  {t}" for t in idle)]
    for stub in stubs:
        made_by = Counter(outcome.made_by for outcome in results[stub].values())
        lines += ["", *(f"{stub}: {n} files on {what}" for what, n in made_by.most_common())]
        late = [f"  {t}: {o.late}" for t, o in results[stub].items() if o.late]
        if late:
            lines += [f"{stub}: {len(late)} files stopped; what was left of them is missing:"]
            lines += late
    return "\n".join(lines)


def _short(kind: str) -> str:
    return f"{kind[:6].lower():>6}"


def _row(name: str, outcomes: Iterable[Outcome | None]) -> str:
    cells = ""
    for outcome in outcomes:
        counts = ["-" if outcome is None else outcome.counts[kind] or "." for kind in _COLUMNS]
        cells += f"  {'':>10}  " + " ".join(f"{count:>6}" for count in counts)
    return f"{name:48}{cells}"
