"""What a campaign found: the table of numbers, the survivors, and whether they are the accepted ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.mutation.accepted import ACCEPTED, ANY
from tests.mutation.ledger import SPARED, Result
from tests.mutation.mutants import Mutant
from tests.mutation.targets import Target

BEGIN, END = "<!-- the table: make mutation writes it -->", "<!-- the end of the table -->"
STAGES = ["cases", "tests", "more cases", "crash", "time-out"]


@dataclass(frozen=True)
class Verdict:
    """Survivors with the reason why they may, survivors without one, and accepted mutants that did not survive."""

    accepted: list[Result]
    new: list[Result]
    stale: list[tuple[str, str, str]]

    @property
    def good(self) -> bool:
        return not self.new and not self.stale


def judge(
    results: Sequence[Result], complete: set[str] | None, accepted: dict[tuple[str, str, str], str] = ACCEPTED
) -> Verdict:
    """Compare the survivors with the accepted ones; ``complete`` names the functions of which all mutants were run."""
    survivors = [r for r in results if r.fate in ("survived", SPARED)]
    alive = {key for r in survivors for key in _keys(r.mutant)}
    return Verdict(
        [r for r in survivors if is_accepted(r.mutant, accepted)],
        [r for r in survivors if not is_accepted(r.mutant, accepted)],
        [key for key in accepted if key not in alive and key[0] in (complete or ())],
    )


def is_accepted(mutant: Mutant, accepted: dict[tuple[str, str, str], str] = ACCEPTED) -> bool:
    """Whether a mutant may survive."""
    return any(key in accepted for key in _keys(mutant))


def spared(mutant: Mutant) -> Result | None:
    """The result of a mutant that is not run, since it has been judged equivalent by itself and not as one of ANY."""
    reason = ACCEPTED.get(mutant.key)
    return None if reason is None else Result(mutant, SPARED, "", reason, 0.0)


def _keys(mutant: Mutant) -> list[tuple[str, str, str]]:
    """The entries that would accept a mutant: its own, and one for any change of the same part."""
    function, before, after = mutant.key
    return [(function, before, after), (function, before, ANY)]


def table(results: Sequence[Result], chosen: Sequence[Target], verdict: Verdict) -> str:
    """Numbers for each file in Markdown, then the survivors."""
    files = {t.label: t.file for t in chosen}
    lines = [numbers(results, chosen, verdict)]
    for title, found in (("equivalent", verdict.accepted), ("survivors", verdict.new)):
        lines += ["", f"{title}: {len(found)}"]
        for r in found:
            m = r.mutant
            reason = "".join(f"\n    {ACCEPTED[key]}" for key in _keys(m) if key in ACCEPTED)
            lines.append(f"  {files[m.function]}:{m.line} {m.function}\n    - {m.before}\n    + {m.after}{reason}")
    lines += [f"\nstale, no longer a survivor: {key}" for key in verdict.stale]
    return "\n".join(lines)


def numbers(results: Sequence[Result], chosen: Sequence[Target], verdict: Verdict) -> str:
    """The table of numbers for each file."""
    files = {t.label: t.file.removeprefix("minigrad/") for t in chosen}
    rows = []
    for file in [*sorted(set(files.values())), "all"]:
        mine = [r for r in results if file in ("all", files[r.mutant.function])]
        fates = Counter(r.fate for r in mine)
        judged = [sum(file in ("all", files[r.mutant.function]) for r in of) for of in (verdict.accepted, verdict.new)]
        functions = len({r.mutant.function for r in mine})
        counts = [functions, len(mine), *(fates[s] for s in STAGES), *judged]
        rows.append(f"| {file} | " + " | ".join(map(str, counts)) + " |")
    head = ["file", "functions", "mutants", *STAGES, "equivalent", "survivors"]
    return "\n".join(["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1), *rows])


def with_table(page: str, text: str) -> str:
    """A page with a text between its two marks."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def as_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [
        {"function": r.mutant.function, "line": r.mutant.line, "before": r.mutant.before, "after": r.mutant.after,
         "fate": r.fate, "by": r.by, "detail": r.detail, "seconds": round(r.seconds, 3)}
        for r in results
    ]  # fmt: skip
