"""docs/theory.md and its pictures, made from the claims, so that they cannot drift from the code.

What is proven or decided by the code is written anew and compared by a test; what is measured, such as the
training of a network, stands between two marks and is written by `theory document` only.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from minigrad.runtime.extras import require
from minigrad.runtime.files import replacing
from theory.claims import Claim, Verdict
from theory.registry import CLAIMS

__all__ = ["MEASURED", "figure_name", "markdown", "save_figure", "write_page"]

MEASURED = "<!-- measured: -->", "<!-- :measured -->"
"""The marks around what is measured."""

_HEAD = """# Claims about networks, with verdicts

Made by `theory document` from the code in `theory/`; do not edit it here. `theory` checks all of it again,
`theory check NUMBER --examples 1000` one claim at length, `theory show NUMBER` prints it in the source's own numbers.

A claim is made of propositions. Where all cases that one speaks of are enumerated, it is decided: it survives "in all
cases". Else it is checked on a sample, mostly examples that Hypothesis draws and shrinks: a search for what refutes it,
no proof; the proofs stand below. A domain promises what must be among its examples (graphs with edges and cycles, a
defective matrix of every size, so many cases), and the check holds it to that. What a sort, a proof in exact
arithmetic or an elimination finds is a certificate, which code that shares nothing with it checks.

A claim *holds* if all survive, *holds more generally than stated* if those that say more than the source survive too,
and is *false as printed* if what the source prints is refuted while the corrected statement survives, which the
propositions marked *corrected* check.
"""

_TAIL = """
## A claim of your own

In a file `mine.py`:

```python
import minigrad as mg
from hypothesis import strategies as st
from theory import agree, claim

@claim("odd", "tanh is an odd function", domain=st.floats(-5, 5))
def tanh_is_odd(x):
    agree(mg.tanh(-x).numpy(), -mg.tanh(x).numpy(), "tanh(-x)")
```

`theory check odd --load mine.py` checks it; a false one is shown with its smallest counterexample. A checker raises to
refute (`agree`, `require`) and returns nothing to accept. `enumerated` and `sampled` make a domain that says which of
both it is, and promises what is among its examples.
"""


def markdown(measured: bool = True, examples: int = 100, report: Callable[[str], None] = lambda text: None) -> str:
    """The page as Markdown; without what is measured if `measured` is false. report: told what comes next."""
    verdicts = []
    for claim in CLAIMS.values():
        report(f"checking {claim.number}")
        verdicts.append(claim.check(examples))
    rows = [
        f"| [{v.claim.number}](#{_anchor(v.claim)}) | {v.claim.title} | {v.outcome} | {', '.join(v.refuted)} |"
        for v in verdicts
    ]
    parts = [_HEAD, "\n".join(["| claim | | verdict | what was refuted |", "|---|---|---|---|", *rows]) + "\n"]
    for verdict in verdicts:
        measure = verdict.claim.measure if measured else None
        if measure is not None:
            report(f"measuring what {verdict.claim.number} reports: up to two minutes")
        parts.append(_section(verdict, measure))
    return "\n".join([*parts, _TAIL.lstrip("\n")])


def write_page(folder: Path, report: Callable[[str], None] = lambda text: None) -> list[Path]:
    """Write theory.md and the folder `theory` of its pictures; the paths written. report: told what comes next."""
    (folder / "theory").mkdir(parents=True, exist_ok=True)
    paths = []
    for claim in CLAIMS.values():
        if claim.draw is not None:
            report(f"drawing {claim.number}")
            paths.append(folder / "theory" / figure_name(claim))
            save_figure(claim, paths[-1])
    with replacing(folder / "theory.md") as temporary:
        temporary.write_text(markdown(report=report), encoding="utf-8")
    return [*paths, folder / "theory.md"]


def figure_name(claim: Claim, suffix: str = "svg") -> str:
    """The file name of a claim's picture: claim-1-3.svg."""
    return f"claim-{claim.number.replace(' ', '-')}.{suffix}"


def save_figure(claim: Claim, path: Path) -> None:
    """Draw a claim's picture into a file; the suffix says the format. The same picture gives the same bytes."""
    matplotlib = require("matplotlib", "theory")
    figure = claim.figure()
    kind = path.suffix[1:]
    undated: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    with matplotlib.rc_context({"svg.hashsalt": "minigrad"}), replacing(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=150, metadata=undated)


def _anchor(claim: Claim) -> str:
    """The anchor that a Markdown reader gives to the claim's heading."""
    kept = (c for c in f"{claim.number} {claim.title}".lower() if c.isalnum() or c in " -_")
    return "".join(kept).replace(" ", "-")


def _section(verdict: Verdict, measure: Callable[[], str] | None) -> str:
    claim = verdict.claim
    lines = [f"## {claim.number} {claim.title}", "", claim.statement.latex or claim.statement.text, ""]
    lines += [f"*{claim.source}.* **Verdict: {verdict.outcome}.**", ""]
    if verdict.corrected is not None:
        lines += [f"**Corrected:** {verdict.corrected.latex or verdict.corrected.text}", ""]
    lines += ["| | proposition | |", "|---|---|---|"]
    for r in verdict.results:
        survives = {"all": "survives in all cases", "sample": "survives in a sample"}
        found = survives[r.kind] if r.holds else f"refuted by `{r.shown}`: {r.message}"
        cells = r.proposition.role, r.proposition.statement, found
        lines.append("| " + " | ".join(" ".join(cell.split()).replace("|", r"\|") for cell in cells) + " |")
    if claim.proof:
        lines += ["", f"**Proof.** {claim.proof}"]
    if claim.draw is not None:
        lines += ["", f"![{claim.number}: {claim.title}](theory/{figure_name(claim)})"]
    if claim.measure is not None:
        lines += ["", MEASURED[0], *([] if measure is None else [measure()]), MEASURED[1]]
    return "\n".join([*lines, ""])
