"""All that is said of the claims 3-1 and "3-1 alt": parity by a recurrent unit, and by two threshold units.

The mathematics is in `theory.parity.units`, `gain`, `bounds` and `one_unit` beside it, and what is learnt in
`training`; the examples are in `domains`, the checkers in `checks`, the pictures in `figures`.

Source: homework 3-1 and its alternative.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from theory.claims import FALSE, Claim, Corrected, Statement
from theory.parity import checks, domains
from theory.parity.figures import draw_network, draw_recurrences
from theory.parity.gain import (
    ABOVE,
    BELOW,
    adversary,
    critical_gain,
    extreme_states,
    fails_at,
    intervals,
    tanh_network,
)  # fmt: skip
from theory.parity.training import (
    BASE,
    LIMIT,
    SEEDS,
    Results,
    against_the_others,
    critical_scale,
    differing,
    structured_sequences,
    train_all,
)  # fmt: skip
from theory.parity.units import (
    or_unit,
    parity,
    printed_linear_network,
    printed_network,
    run_unit,
    threshold_network,
    threshold_weights,
    xor_unit,
)
from theory.propositions import Proposition

__all__ = ["CLAIM_3_1", "CLAIM_3_1_ALT", "show_network", "show_unit"]

DENSITIES = ", ".join(f"{100 * density:g} %" for density in domains.DENSITIES)
LONG = f"it does at every step of random sequences of {checks.LONG:,} bits, of which {DENSITIES} are ones"

# 3-1: one unit that multiplies --------------------------------------------------------------------

STATEMENT = Statement(
    "h_t = h_{t-1} + x_t - h_{t-1} x_t with h_0 = 0 gives y_t = h_t = x_1 xor … xor x_t, for all bits x.",
    r"$h_t = h_{t-1} + x_t - h_{t-1} x_t$ with $h_0 = 0$ gives $y_t = h_t = x_1 \oplus \dots \oplus x_t$, "
    r"for all bits $x$.",
)

CORRECTED = Corrected(
    "h_t = h_{t-1} + x_t - 2 h_{t-1} x_t; the printed formula is OR.",
    r"$h_t = h_{t-1} + x_t - 2 h_{t-1} x_t$; the printed formula is OR.",
    by=("all short sequences", "long sequences", "the printed formula is OR"),
)

PROOF = r"""On bits, $h + x - hx = 1 - (1 - h)(1 - x)$ is 0 only for $h = x = 0$: it is OR, and stays 1 after the first
1. It errs as soon as the parity returns to 0, for the first time on $(1, 1)$.

XOR is 1 exactly if $h \ne x$, that is $h(1 - x) + x(1 - h) = h + x - 2hx$. By induction $h_t$ is the parity of the
first $t$ bits.

In the encoding $1 - 2h$, $1 - 2x$ of bits as signs the step is a product: $1 - 2h_t = (1 - 2h_{t-1})(1 - 2x_t)$, so
$h_T = \frac12\bigl(1 - \prod_t (1 - 2x_t)\bigr)$ for all real $x_t$, and
$\partial h_T / \partial x_t = \prod_{i \ne t} (1 - 2x_i) = \pm 1$ at bits."""

PROPOSITIONS = (
    Proposition(
        "the formula", "h' = h + x - h x from h_0 = 0 gives the parity of every bit sequence",
        checks.one_sequence(checks.through_tensors(or_unit)), domains.SHORT, false=True,
    ),
    Proposition(
        "all short sequences", "h' = h + x - 2 h x does, for all 2^T sequences of each length T = 1, …, "
        f"{domains.LONGEST}", checks.all_of_a_length(checks.through_tensors(xor_unit)), domains.LENGTHS, "corrected",
    ),
    Proposition(
        "long sequences", LONG, checks.long_sequences(checks.through_arrays(xor_unit)), domains.LONG_SEQUENCES,
        "corrected", share=0.03,
    ),
    Proposition(
        "the printed formula is OR", "of bits h and x, h + x - h x is OR", checks.is_or, domains.PAIRS, "corrected",
    ),
    Proposition(
        "gradient", "at sequences drawn of up to 100 bits, the derivative of h_T by every bit is 1 or -1, so it "
        "neither vanishes nor explodes", checks.gradient, domains.SEQUENCES, "general", share=0.3,
    ),
)  # fmt: skip


def show_unit() -> str:
    """The truth tables of OR, XOR and the two formulas, and both runs on (1, 1)."""
    lines = [" h  x   h OR x   h + x - h x   h XOR x   h + x - 2 h x"]
    for h, x in product((0, 1), repeat=2):
        lines.append(f" {h}  {x}   {h | x:^6}   {or_unit(h, x):^11}   {h ^ x:^7}   {xor_unit(h, x):^13}".rstrip())
    lines += ["", "The shortest sequence on which they part is (1, 1):"]
    for name, unit in (("printed", or_unit), ("corrected", xor_unit)):
        states = run_unit(unit, [1, 1])
        lines.append(f"  {name:<10} h_0 = 0, h_1 = {states[0]}, h_2 = {states[1]}")
    return "\n".join([*lines, f"  {'parity':<10}          y_1 = {parity([1, 1])[0]}, y_2 = {parity([1, 1])[1]}"])


CLAIM_3_1 = Claim(
    number="3-1",
    title="A recurrent unit computes the parity of the bits so far",
    statement=STATEMENT,
    source="homework 3-1",
    propositions=PROPOSITIONS,
    expected=FALSE,
    corrected=CORRECTED,
    proof=PROOF,
    draw=draw_recurrences,
    display=show_unit,
)

# 3-1 alt: two threshold units ---------------------------------------------------------------------

ALT_STATEMENT = Statement(
    "Two units, an OR with threshold 1/2 and an AND with threshold 3/2, each of its own past and the bit, give the "
    "parity y = [OR - AND - 1/2 > 0] of the bits so far.",
    r"Two units, an OR with threshold $\frac12$ and an AND with threshold $\frac32$, each of its own past and the bit, "
    r"give the parity $y = [\mathrm{OR} - \mathrm{AND} - \frac12 > 0]$ of the bits so far.",
)

ALT_CORRECTED = Corrected(
    "Both units read the parity so far, s = h1 - h2: h1 = step(s + x - 1/2), h2 = step(s + x - 3/2), y = h1 - h2, "
    "with step(0) = 0. It is a vanilla RNN with Wx = [[1, 1]], Wh = [[1, 1], [-1, -1]], b = [-1/2, -3/2].",
    r"Both units read the parity so far, $s = h_1 - h_2$: $h_1' = \mathrm{step}(s + x - \frac12)$, "
    r"$h_2' = \mathrm{step}(s + x - \frac32)$, $y = h_1' - h_2'$, with $\mathrm{step}(0) = 0$. It is a vanilla RNN "
    r"with $W_x = (1, 1)$, $W_h$ of the rows $(1, 1)$ and $(-1, -1)$, and $b = (-\frac12, -\frac32)$.",
    by=("all short sequences", "long sequences", "one step"),
)

ALT_PROOF = r"""*As printed* no step function is written. With one, the AND unit starts at 0 and needs its own past to
be 1 before it can be 1, so it stays 0 for ever; the OR unit stays 1 after the first 1; the network computes OR and
fails on $(1, 1)$. Without one, $h_1 - h_2$ is $t$ after $t$ bits, and it fails on $(0)$.

*Corrected:* $s + x$ is 0, 1 or 2, so $h_1' - h_2'$ is 0, 1 or 0: the XOR of $s$ and $x$.

*With tanh*, in the encoding $\pm 1$ of the hidden bits and with gain $g$: $W_x \to g W_x$, $W_h \to g W_h / 2$,
$b \to g b$, $h_0 = 0$, $y = [s > \frac12]$ with $s = (h_1 - h_2)/2$. Then $s' = f_g(s + x)$,
$f_g(u) = \frac12\bigl(\tanh g(u - \frac12) - \tanh g(u - \frac32)\bigr)$. Four facts: (1) $f_g(1 + v) = f_g(1 - v)$;
(2) $f_g$ rises up to $u = 1$, as $\tanh'$ is even and falls with $|\cdot|$; (3) on $[\frac12, \frac32]$ it rises with
$g$, as both $u - \frac12$ and $\frac32 - u$ are $\ge 0$; (4) the sum
$f_g(u) + f_g(1 - u) = \frac12\bigl(\tanh g(\frac32 - u) + \tanh g(\frac12 + u)\bigr)$ is below 1.

Theorem: *it is right for every length exactly if some $b \in (\frac12, 1]$ has $f_g(b) \ge b$.* If so, let
$a = 1 - b$. The intervals $[0, a]$ for parity 0 and $[b, 1]$ for parity 1 are invariant: by (1) and (2) the worst
images are, towards parity 0, $f_g(a)$ and $f_g(1 + b) = f_g(1 - b) = f_g(a)$, which (4) puts below
$1 - f_g(b) \le a$; towards parity 1, $f_g(b)$ and $f_g(1 + a) = f_g(1 - a) = f_g(b) \ge b$. If not, $f_g(s) < s$ on
$[\frac12, 1]$, as also $f_g(\frac12) = \frac12 \tanh g < \frac12$; this interval being compact, the state falls by
at least some $m > 0$ at each zero of 1 0 0 … 0 until the parity 1 is lost. By (3) larger gains keep the condition, so
there is one critical gain, where the line $s$ touches $f_g$: $f_g(s) = s$, $f_g'(s) = 1$, at $g = 2.330212853…$,
$s = 0.62226…$ Below it, one rational run of 1 0 0 … 0 with bounds from above proves failure for all smaller gains;
above it, one pair of rational intervals with $a = 1 - b$ proves the network for all larger ones. Random bits rarely
show the failure: it takes nearly as many zeros in a row as 1 0 0 … 0 has.

*The weights as they are*, times a gain with $y = [h_1 - h_2 > \frac12]$, have $s' = 2 f_g(s + x)$, $s = h_1 - h_2$. For
$\tanh g = \frac12$ the threshold $\frac12$ is a fixed point: every state stays on its side and the parity is right in
exact arithmetic, but its distance to the threshold shrinks to about a seventh at each 0. At every other gain that is
tried, 1 0 … 0 or 0 … 0 fails.

*One unit* $h' = \varphi(wh + vx + c)$, $\varphi$ monotone, $y = [h > \theta]$: from a state $e$ of parity 0 a 1 must
lead above $\theta$ and a 0 not, so with rising $\varphi$, $v > 0$; from a state $o$ of parity 1 it is the other way
round, so $v < 0$. Both are met within two bits. For a step function, these are the inequalities
$we + c \le 0$, $we + v + c > 0$, $wo + c > 0$, $wo + v + c \le 0$, and with the multipliers $(1, 1, 1, 1)$ they add
up to $0 < 0$. A falling $\varphi$, or a readout $[h < \theta]$, turns all signs."""

ALT_PRINTED = (
    Proposition(
        "each unit fed by its own past", "h1 = step(h1 + x - 1/2), h2 = step(h2 + x - 3/2), y = step(h1 - h2 - 1/2) "
        "gives the parity of every bit sequence",
        checks.one_sequence(checks.outputs(printed_network)), domains.SHORT, false=True,
    ),
    Proposition(
        "the same without a step", "h1 = h1 + x - 1/2, h2 = h2 + x - 3/2, y = [h1 - h2 - 1/2 > 0], no function "
        "being written, gives it", checks.one_sequence(checks.outputs(printed_linear_network)),
        domains.SHORT, false=True,
    ),
    Proposition(
        "the gates", "of two bits a and b, step(a + b - 1/2) is OR, step(a + b - 3/2) is AND, and "
        "[OR - AND - 1/2 > 0] is XOR", checks.gates, domains.PAIRS,
    ),
)  # fmt: skip

ALT_CORRECTIONS = (
    Proposition(
        "all short sequences", "with s = h1 - h2, h1 = step(s + x - 1/2), h2 = step(s + x - 3/2), y = h1 - h2 gives "
        f"it, for all 2^T sequences of each length T = 1, …, {domains.LONGEST}",
        checks.all_of_a_length(checks.outputs(threshold_network)), domains.LENGTHS, "corrected",
    ),
    Proposition(
        "long sequences", LONG, checks.long_sequences(checks.outputs(threshold_network)), domains.LONG_SEQUENCES,
        "corrected", share=0.03,
    ),
    Proposition(
        "one step", "from each state (0, 0), (1, 0), (1, 1) and by each bit, the RNN with Wx = (1, 1), Wh of the rows "
        "(1, 1) and (-1, -1) and b = (-1/2, -3/2) makes that step, and y = s xor x", checks.one_step,
        domains.THREE_STATES, "corrected",
    ),
)  # fmt: skip

TANH = (
    Proposition(
        "one number", "with tanh, s = (h1 - h2) / 2 follows s' = f(s + x) alone, for gains drawn from 0.1 to 20",
        checks.one_number, domains.ONE_NUMBER, "general",
    ),
    Proposition(
        "worst inputs", "for gains drawn from 0.1 to 20, of all inputs of up to 9 bits those found in one step a bit "
        "lead to the largest s at parity 0 and the smallest at parity 1",
        checks.worst_inputs, domains.WORST, "general",
    ),
    Proposition(
        "exact bounds of exp", "for q = 0, 10^-30, 2^-40 and on a grid up to 60, exp(q) lies between two fractions "
        "that differ by 2^-79 of it at most", checks.exponential, domains.EXPONENTS, "general",
    ),
    Proposition(
        "exact bounds", "for rational gains drawn from 0.1 to 100 and u from 0 to 2, f(u) lies between two fractions "
        "that differ by 2^-85 at most; computed with 8 to 160 bits instead of 96, too, they may be farther apart",
        checks.exact_bounds, domains.POINTS, "general",
    ),
    Proposition(
        "critical gain", f"exact arithmetic proves that 1 0 0 … 0 fails at gain {float(BELOW)}, and hence, by (2) and "
        f"(3) of the proof, at every smaller one; and that every length is right at {float(ABOVE)}, and hence, by "
        "(3) and (4), at every larger one; each step of both is checked by another formula in decimal arithmetic",
        checks.bracket, domains.BRACKET, "general", show=str,
    ),
    Proposition(
        "nothing false is proven", f"at gains drawn from {float(ABOVE)} to 4 no failure is proven, with 8, 12, 16, 32 "
        f"or 96 bits; at gains up to {float(BELOW)} no interval [b, 1] of a grid of b",
        checks.nothing_false_is_proven, domains.BITS_AND_GAINS, "general", share=0.3, show=str,
    ),
    Proposition(
        "spoilt proofs", "the checks refuse a proof of failure of which one state is lower by 2^-80, the last is left "
        "out, or the gain works; and intervals that overlap, do not add up to 1, or whose gain fails",
        checks.spoilt_proofs_are_refused, domains.PROOFS, "general", share=0.3, show=str,
    ),
    Proposition(
        "above it", f"at gains drawn from {float(ABOVE)} to 1000 there are invariant intervals, checked in exact "
        "arithmetic, and 1,000 bits come out right through mg.ops.rnn", checks.works,
        domains.ABOVE_CRITICAL, "general",
    ),
    Proposition(
        "below it", f"at gains drawn from 0.01 to {float(BELOW)} the input 1 0 0 … 0 fails through mg.ops.rnn; if it "
        f"does within {checks.SOON} steps, no other input fails earlier, and exact arithmetic agrees on the step",
        checks.fails, domains.BELOW_CRITICAL, "general",
    ),
    Proposition(
        "rarely seen", "at gain 2.33, where 1 0 0 … 0 fails, 100 random sequences of the length at which it does are "
        "right at every step", checks.rarely_seen, domains.RUNS, "general", share=0.1,
    ),
    Proposition(
        "the weights as they are", "without the encoding, the threshold network's weights times gains drawn from "
        "0.01 to 1000, but not within 1e-6 of ln(3) / 2, fail with tanh on 1 0 … 0 or 0 … 0",
        checks.raw_fails, domains.RAW_GAINS, "general",
    ),
)  # fmt: skip

ONE_UNIT = (
    Proposition(
        "one unit: a certificate", "what parity asks of one threshold unit adds up to 0 < 0, for fractions drawn to "
        "stand for the parities, and all four cases are met from two bits on", checks.contradiction,
        domains.STATES_AND_BITS, "general",
    ),
    Proposition(
        "one unit: no other certificate", "what a unit that is drawn computes at two states and both bits is not "
        "refuted: multipliers that are negative, do not cancel or leave out what is strict are refused",
        checks.only_contradictions, domains.SYSTEMS, "general",
    ),
    Proposition(
        "one unit: monotone", "units h' = phi(w h + v x + c) drawn with phi monotone and a threshold readout fail on a "
        "sequence of one or two bits", checks.one_unit_fails, domains.MONOTONE_UNITS, "general",
    ),
)  # fmt: skip


def show_network() -> str:
    """The network's matrices, its states over a short sequence beside the printed one, and the tanh network."""
    Wx, Wh, b = threshold_weights()
    bits = [1, 1, 0, 1]
    (y, h), (wrong, past) = threshold_network(bits), printed_network(bits)
    lines = [f"Wx = {Wx.tolist()}", f"Wh = {Wh.tolist()}   (h @ Wh)", f"b  = {b.tolist()}", ""]
    lines.append("step units         corrected      as printed")
    lines.append(" t  x  parity    h1 h2   y       h1 h2   y")
    for t, x in enumerate(bits):
        (h1, h2), (p1, p2) = h[t].astype(int), past[t].astype(int)
        lines.append(f" {t + 1}  {x}    {parity(bits)[t]}        {h1}  {h2}   {y[t]}        {p1}  {p2}   {wrong[t]}"
                     + ("   wrong" if wrong[t] != y[t] else ""))  # fmt: skip
    lines += ["", "tanh units, g Wx, g Wh / 2, g b, s = (h1 - h2) / 2, y = [s > 1/2]"]
    lines.append(f"  critical gain: {critical_gain():.9f}")
    for gain in (2.2, 2.33, 2.4, 3.0):
        s = ", ".join(f"{value:.3f}" for value in tanh_network(bits, gain)[1])
        at = fails_at(adversary(2_000), gain)
        if at is None:
            proof = intervals(gain)
            end = f"parity 0 stays in [0, {float(proof.a):.3f}], parity 1 in [{float(proof.b):.3f}, 1]"
        else:
            end = f"1 0 0 … 0 fails at step {at}, with s = {extreme_states(gain, at).odd[-1]:.3f}"
        lines.append(f"  gain {gain:<4}  s = {s};  {end}")
    return "\n".join(lines)


# What is learnt of it ----------------------------------------------------------------------------

TRAINING = f"""**Learning it.** An RNN with a linear readout is trained with minigrad on random bits, in
{BASE.iterations:,} steps of Adam (rate {BASE.rate}, batches of {BASE.batch}, gradients clipped to norm 1). For each of
{len(SEEDS)} seeds: the number of steps, up to {LIMIT:,}, to which it is right on all of 200 random sequences; and to
which it is right on all of 35 structured ones, 0 0 … 0, 1 0 … 0, 1 1 … 1, and 32 with 0.1 %, 1 %, 99 % or 99.9 % ones.
The first row is the base; the others change one thing each. The last column is the p of Fisher's exact test of the
networks that never erred on either, against those of all other rows together."""

WEIGHTS = """Spectral norms of the recurrent weights after training, the smallest and the largest, of the networks
that never erred on either kind of sequences, and of the rest. The critical scale is the smallest factor of all weights,
in steps of 0.02, with which a network is still right on 500 steps of the structured sequences: the counterpart of the
critical gain."""


def tell_training() -> str:
    """Train every setting with every seed, and write what came out as Markdown."""
    results = train_all()
    parts = TRAINING, _lengths_table(results), _differences(results), _weights_table(results), WEIGHTS
    return "\n\n".join(parts)


def _lengths_table(results: Results) -> str:
    rows = ["| training | random sequences: right up to | structured ones | never erred on random | on either | p |",
            "|---|---|---|---|---|---|"]  # fmt: skip
    for setting, trained in results.items():
        random = ", ".join(f"{t.random:,}" for t in trained)
        structured = ", ".join(f"{t.structured:,}" for t in trained)
        counts = f"{sum(t.random == LIMIT for t in trained)} | {sum(t.never_erred for t in trained)}"
        p = against_the_others(setting, results)
        rows.append(f"| {setting.name} | {random} | {structured} | {counts} | {p:.2g} |")
    return "\n".join(rows)


def _differences(results: Results) -> str:
    """What the first table shows, in words."""
    everything = [t for trained in results.values() for t in trained]
    random = [t for t in everything if t.random == LIMIT]
    hidden = sum(not t.never_erred for t in random)
    which = ", ".join(f"“{setting.name}”" for setting in differing(results)) or "none"
    return f"""Of the {len(random)} networks that never erred on the random sequences, {hidden} err on a structured one.
Trainings that differ from the others, at a level of 5 % for all {len(results)} tests together: {which}.
What the others change, {len(SEEDS)} seeds do not decide."""


def _weights_table(results: Results) -> str:
    bits = structured_sequences(500)
    rows = ["| training | norm of Wh at first | never erred | erred | critical scale, never erred |",
            "|---|---|---|---|---|"]  # fmt: skip
    for setting, trained in results.items():
        held = [t.network for t in trained if t.never_erred]
        erred = [t.network for t in trained if not t.never_erred]
        norms = [_range([np.linalg.norm(network.Wh, 2) for network in networks]) for networks in (held, erred)]
        scales = _range([critical_scale(network, bits) for network in held])
        rows.append(f"| {setting.name} | {setting.initial:g} | {' | '.join(norms)} | {scales} |")
    return "\n".join(rows)


def _range(values: list[Any]) -> str:
    """The smallest and the largest of some numbers."""
    ends = sorted({f"{min(values):.2f}", f"{max(values):.2f}"}, key=float) if values else ["-"]
    return " to ".join(ends)


CLAIM_3_1_ALT = Claim(
    number="3-1 alt",
    title="Two recurrent threshold units compute parity",
    statement=ALT_STATEMENT,
    source="homework 3-1, the alternative",
    propositions=(*ALT_PRINTED, *ALT_CORRECTIONS, *TANH, *ONE_UNIT),
    expected=FALSE,
    corrected=ALT_CORRECTED,
    proof=ALT_PROOF,
    draw=draw_network,
    display=show_network,
    measure=tell_training,
)
