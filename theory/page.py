"""Write docs/theory.md, its pictures, and a gallery of pictures from the claims."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from minigrad.runtime.extras import require
from minigrad.runtime.files import replacing
from theory.claims import Claim, Verdict
from theory.registry import CLAIMS

__all__ = ["figure_name", "gallery", "markdown", "save_figure", "write_page"]

_HEAD = """# Claims about networks, with verdicts

This page lists claims about neural networks, with proofs and the verdicts of automatic checks. `theory` checks every
claim, `theory check NUMBER --examples 1000` checks one claim thoroughly, and `theory show NUMBER` prints it.
`theory figures` writes a gallery of the pictures below. `theory document` writes this page from the code in `theory/`;
do not edit it by hand.

Each claim consists of propositions: *printed* ones (as in its source), which state the claim or belong to its printed
proof, formula or matrix, *corrected* and *general* ones. A check has one of six verdicts on a proposition:

- *holds in all N cases*: the check enumerates all cases, so it decides the proposition.
- *no counterexample in N examples*: the check tries N different examples, which proves nothing. The proofs are below.
- *refuted*: the check rejects an example, and again in ten more tries.
- *flaky*: the check both accepts and rejects the same example.
- *undecided*: the check does not end within its time limit.
- *broken*: the check raises an error or changes its example, no example meets the premise (the claim is
  vacuous), or the domain breaks a promise.

Each domain states the features of its examples, and the check verifies them. Sorts, exact proofs and eliminations
return certificates, which independent code verifies. `theory certify NUMBER --out FILE.json` writes the certificates of
a claim, and `python theory/checker.py FILE.json` verifies them with integers and fractions. The checker imports only
Python's standard library, rejects a changed file, and prints the sentences that are proven.

The verdict on a claim's statement is the worst verdict on the printed propositions that state it, or on the corrected
ones if the source only prints a formula.

`theory mutate` tests the checks: it plants errors in the mathematics of the claims, such as `<` for `<=`. Each error
changes a result, and checking its claim must notice.
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

`theory check odd --load mine.py` checks it and shows the smallest counterexample found if it is false. A checker
returns nothing; to refute an example it calls a function that raises:

- `require(condition, message)` raises unless the condition, a bool, is true. A plain `assert` refutes nothing.
- `agree(actual, expected, what, tolerance=1e-9)` raises unless two arrays of the same shape differ by at most
  `tolerance * max(1, largest finite |expected|)`. A NaN agrees with nothing unless you pass `equal_nan=True`.

A checker of "if A, then B" returns without calling either if A is false. The check counts the examples that meet A.

If the cases are few, pass `enumerated(cases, count)` as the domain, the smallest case first. The check then tries all
of them in this order.

If you expect the claim to be false, pass the statement that holds instead as `corrected="…"`, and its checker as
`check_corrected=`. The exit status is 0 if the claim is *refuted* and the corrected statement survives. It is 1 after
any other verdict that you do not expect, such as *flaky*, *undecided* (`--time-limit` is 60 seconds plus one for each
example by default) or *broken*.
"""

_GALLERY = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Claims about networks</title>
<style>
:root { color-scheme: light dark; --ink: light-dark(#1c2430, #e6eaf0); --faint: light-dark(#5b6576, #98a2b3); }
body { max-width: 1240px; margin: 0 auto; padding: 20px; font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif;
       background: light-dark(#fff, #14181f); color: var(--ink); }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 280px), 1fr)); gap: 16px; }
article { border: 1px solid light-dark(#d5dae2, #343c49); border-radius: 8px; overflow: hidden; break-inside: avoid; }
img { display: block; width: 100%; height: 190px; object-fit: contain; background: #fff; }
h1 { font-size: 24px; }
h2, article p { margin: 10px 14px; overflow-wrap: anywhere; }
h2 { font-size: 16px; }
p.verdict { color: var(--faint); font-size: 13px; }
.verdict b { color: light-dark(#00694d, #4fd1a5); }
.verdict b.refuted { color: light-dark(#a84300, #ff9a5c); }
</style>
</head>
<body>
<h1>Claims about networks</h1>
<p>Each verdict is from 10 examples of each proposition. <code>theory check NUMBER</code> and docs/theory.md try 100, so
they may refute more. Both show every proposition.</p>
<main>
"""


def gallery(verdicts: Iterable[Verdict], suffix: str) -> str:
    """Return an HTML page with a card for each verdict.

    A card has the claim's picture, its statement, and the verdicts in words.

    suffix: the format of the pictures, which are in the folder of the page.
    """
    return _GALLERY + "".join(_card(v, figure_name(v.claim, suffix)) for v in verdicts) + "</main>\n</body>\n</html>\n"


def _card(verdict: Verdict, picture: str) -> str:
    corrected = [] if verdict.corrected is None else [f"What holds: {verdict.corrected.text}"]
    statements = [verdict.claim.statement.text, *corrected]
    paragraphs = "".join(f"<p>{html.escape(text)}</p>\n" for text in statements)
    first, *others = verdict.words.split("; ")
    title = html.escape(f"{verdict.claim.number} {verdict.claim.title}")
    return f"""<article>
<a href="{picture}"><img src="{picture}" alt="{title}" loading="lazy"></a>
<h2>{title}</h2>
{paragraphs}<p class="verdict"><b class="{verdict.outcome}">{"; ".join([f"{first.capitalize()}</b>", *others])}</p>
</article>
"""


def markdown(examples: int = 100, report: Callable[[str], None] = lambda text: None) -> str:
    """Return the page as Markdown. report: called with the next step."""
    verdicts = []
    for claim in CLAIMS.values():
        report(f"checking {claim.number}")
        verdicts.append(claim.check(examples))
    rows = [
        f"| [{v.claim.number} {v.claim.title}](#{_anchor(v.claim)}) | {v.outcome} | {v.printed} | "
        f"{v.parts.get('general', '')} | {', '.join(v.refuted)} |"
        for v in verdicts
    ]
    head = "| claim | statement | as printed | more generally | refuted propositions |\n|---|---|---|---|---|"
    parts = [_HEAD, "\n".join([head, *rows]) + "\n"]
    for verdict in verdicts:
        if verdict.claim.measure is not None:
            report(f"measuring for {verdict.claim.number}, which takes up to two minutes")
        parts.append(_section(verdict))
    return "\n".join([*parts, _TAIL.lstrip("\n")])


def write_page(folder: Path, report: Callable[[str], None] = lambda text: None) -> list[Path]:
    """Write theory.md and its pictures into a folder, and return their paths.

    report: called with the next step.
    """
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
    """Return the file name of a claim's picture, such as claim-1-3.svg."""
    return f"claim-{claim.number.replace(' ', '-')}.{suffix}"


def save_figure(claim: Claim, path: Path) -> None:
    """Draw a claim's picture into a file in the format of its suffix.

    The same picture gives the same bytes.
    """
    matplotlib = require("matplotlib", "theory")
    figure = claim.figure()
    kind = path.suffix[1:]
    undated: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    with matplotlib.rc_context({"svg.hashsalt": "minigrad"}), replacing(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=150, metadata=undated)


def _anchor(claim: Claim) -> str:
    """Return the anchor of the claim's heading in rendered Markdown."""
    kept = (c for c in f"{claim.number} {claim.title}".lower() if c.isalnum() or c in " -_")
    return "".join(kept).replace(" ", "-")


def _section(verdict: Verdict) -> str:
    claim = verdict.claim
    lines = [f"## {claim.number} {claim.title}", "", claim.statement.latex or claim.statement.text, ""]
    lines += [f"*{claim.source}.* **{verdict.words.capitalize()}.**", ""]
    if verdict.corrected is not None:
        lines += [f"**Corrected:** {verdict.corrected.latex or verdict.corrected.text}", ""]
    for r in verdict.results:
        found = "; ".join(filter(None, [r.words.capitalize(), r.finding("`")]))
        lines.append(f"- *{r.proposition.label}*: {r.proposition.statement.rstrip('.')}. *{found}.*")
    if claim.proof:
        lines += ["", f"**Proof.** {claim.proof}"]
    if claim.certify is not None:
        number = claim.number.replace(" ", "-")
        lines += ["", f"*Certificates:* `theory certify {number} --out FILE.json`"]
    if claim.draw is not None:
        lines += ["", f"![{claim.number}: {claim.title}](theory/{figure_name(claim)})"]
    if claim.measure is not None:
        lines += ["", claim.measure()]
    return "\n".join([*lines, ""])
