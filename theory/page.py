"""Write docs/theory, a page and a picture for each claim, and a gallery of pictures from the claims."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from minigrad.runtime.extras import require
from minigrad.runtime.files import replacing
from theory.claims import Claim, Verdict
from theory.figures import DARK, STYLE
from theory.propositions import HOLDS, NO_COUNTEREXAMPLE, REFUTED, Result
from theory.registry import CLAIMS

__all__ = ["figure_name", "gallery", "pages", "save_figure", "write_pages"]

_LISTED = 12  # a page with more propositions leaves out the general ones

_HEAD = """# Claims about networks, with verdicts

Each page states a claim, its proof, an exercise and the verdicts of our checks. Claims 1-1 to 3-2 are homework of a
course on deep learning, which also prints a proof, formula or matrix; these may be wrong although the claim holds. The
others are folklore, or from the papers that their pages name.

<div class="claims">

"""

_TAIL = """
</div>

## What the verdicts mean

`theory` checks every claim, `theory check NUMBER --examples 1000` checks one on 1,000 examples per proposition, and
`theory show NUMBER` prints its worked example. A claim consists of propositions: *printed* ones from the
homework, paper or folklore, *corrected* ones that replace false ones, and *general* ones that go further or test the
check itself. A check gives
each proposition one of six verdicts:

- *holds*: the check accepts all cases, so it decides the proposition.
- *no counterexample*: the check accepts all examples that it tries. This is evidence, not proof; the page has a proof.
- *refuted*: the check rejects an example, and rejects it again in ten repetitions.
- *flaky*: the check both accepts and rejects the same example.
- *undecided*: the check does not end within its time limit.
- *broken*: the check raises an error or changes its example, no example meets the premise, or the examples lack a
  feature that their domain declares.

The verdict on the statement is the worst verdict of the printed propositions. If only a formula is printed, it is
that of the corrected ones.

## Why you can trust the checks

Each domain declares which kinds of example it contains, and the check verifies that they occur. Sorts, exact proofs and
eliminations return certificates. `theory certify NUMBER --out FILE.json` writes them, and
`python theory/checker.py FILE.json` verifies them with integers and fractions. The checker imports only Python's
standard library, rejects a file whose checksum or proofs are wrong, and prints the sentences that it proved.

`theory mutate` tests the checks: it plants errors in the mathematics, such as `<` for `<=`, and the checks must notice
them.

You can add [a claim of your own](own-claim.md). `theory document` writes these pages; do not edit them by hand.

```{toctree}
:hidden:
:glob:

claim-*
own-claim
```
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
img { display: block; width: 100%; height: 190px; object-fit: contain; }
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
<p>Each verdict is from 10 examples of each proposition. <code>theory check NUMBER</code> and docs/theory try 100, so
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


def pages(examples: int = 100, report: Callable[[str], None] = lambda text: None) -> dict[str, str]:
    """Return the Markdown of index.md and of each claim's page by file name. report: called with the next step."""
    cards, written = [], {}
    for claim in CLAIMS.values():
        measured = ", and measuring, which takes up to two minutes" if claim.measure else ""
        report(f"checking {claim.number}{measured}")
        verdict = claim.check(examples)
        written[figure_name(claim, "md")] = _page(verdict)
        cards.append(_thumbnail(verdict))
    return {"index.md": _HEAD + "\n\n".join(cards) + "\n" + _TAIL, **written}


def _thumbnail(verdict: Verdict) -> str:
    """Return a link to a claim's page with its picture, its badge, and its counterexample."""
    claim = verdict.claim
    picture = f"![]({figure_name(claim)})<br>" if claim.draw is not None else ""
    link = f"[{picture}{claim.number} {claim.title}]({figure_name(claim, 'md')})"
    found = [
        f"<br>{r.proposition.label}: `{r.shown}`: {r.message}".replace("<br>printed: ", "<br>")
        for r in verdict.results
        if r.verdict == REFUTED
    ]
    return " ".join([link, _badge(verdict), *found[:1]])


def _badge(verdict: Verdict) -> str:
    """Return the verdict on the statement. The site's style shows it as a badge, red if strong, green if emphasised."""
    mark = "*" if verdict.outcome in (HOLDS, NO_COUNTEREXAMPLE) else "**"
    return f"{mark}{verdict.outcome}{mark}"


def write_pages(folder: Path, report: Callable[[str], None] = lambda text: None) -> list[Path]:
    """Write the pages and their pictures into a folder, and return their paths.

    report: called with the next step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for claim in CLAIMS.values():
        if claim.draw is not None:
            report(f"drawing {claim.number}")
            paths.append(folder / figure_name(claim))
            save_figure(claim, paths[-1])
    for name, text in pages(report=report).items():
        paths.append(folder / name)
        with replacing(paths[-1]) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return paths


def figure_name(claim: Claim, suffix: str = "svg") -> str:
    """Return the file name of a claim's picture, such as claim-1-3.svg."""
    return f"claim-{claim.number.replace(' ', '-')}.{suffix}"


def save_figure(claim: Claim, path: Path) -> None:
    """Draw a claim's picture into a file in the format of its suffix.

    An SVG is transparent, with colours for light and dark pages. The same picture gives the same bytes.
    """
    matplotlib = require("matplotlib", "theory")
    kind = path.suffix[1:]
    undated: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    with matplotlib.rc_context(STYLE), replacing(path) as temporary:
        claim.figure().savefig(temporary, format=kind, dpi=150, metadata=undated, transparent=kind == "svg")
        if kind == "svg":
            dark = f"@media (prefers-color-scheme: dark) {{{DARK}}}</style>"
            temporary.write_text(temporary.read_text("utf-8").replace("</style>", dark, 1), encoding="utf-8")


def _page(verdict: Verdict) -> str:
    claim = verdict.claim
    number = claim.number.replace(" ", "-")
    parts = [f"# {claim.number} {claim.title} {_badge(verdict)}", claim.statement.latex or claim.statement.text]
    parts.append(f"Source: {claim.source}. **{verdict.words.capitalize()}.**")
    if verdict.corrected is not None:
        parts.append(f"**What holds:** {verdict.corrected.latex or verdict.corrected.text}")
    if claim.interactive:
        parts.append(f'<div data-figure="{claim.interactive}"></div>\n\n```{{raw}} html\n:file: interactive.html\n```')
    if claim.draw is not None:
        parts.append(f"![Figure of claim {claim.number}]({figure_name(claim)})")
    if claim.proof:
        parts.append(_folded("Proof", claim.proof))
    refuted = [r for r in verdict.results if r.verdict == REFUTED]
    exercises = [(f"*{r.proposition.label}*: {_stated(r)}", _smallest(r)) for r in refuted]
    exercises += [claim.exercise] if claim.exercise else []
    if exercises:
        questions, answers = zip(*exercises, strict=True)
        parts += ["## Find the counterexample", _listed(questions), _folded("Answer", _listed(answers))]
    if claim.measure is not None:
        parts.append(claim.measure())
    commands = [f"theory check {number}"]
    if claim.certify is not None:
        commands.append(f"theory certify {number} --out {number}.json")
    parts += ["## Check it", "\n".join(["```sh", *commands, "```"])]
    others = [r for r in verdict.results if r not in refuted]
    if others:
        listed = [r for r in others if len(others) <= _LISTED or r.proposition.role != "general"]
        lines = [f"- *{r.proposition.label}* ({_extent(r)}): {_stated(r)}" for r in listed]
        if len(listed) < len(others):
            lines.append(f"- *general*: `theory check {number}` lists {len(others) - len(listed)} more.")
        parts.append(_folded("Propositions without a counterexample", "\n".join(lines)))
    return "\n\n".join(parts) + "\n"


def _folded(summary: str, text: str) -> str:
    """Return Markdown that a reader unfolds."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def _listed(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else "\n".join(f"{k}. {text}" for k, text in enumerate(texts, 1))


def _stated(result: Result) -> str:
    return (result.proposition.latex or result.proposition.statement).rstrip(".") + "."


def _extent(result: Result) -> str:
    """Return on how many cases or examples a proposition was checked, and what else its check found."""
    if not result.survived:
        return f"{result.words}: {result.finding('`')}"
    return result.words.removeprefix("holds in ").removeprefix("no counterexample in ")


def _smallest(result: Result) -> str:
    found = "smallest" if result.proposition.exhaustive else "smallest found"
    return f"`{result.shown}` ({found}): {result.message}."
