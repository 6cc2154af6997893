"""The claims 3-1 and "3-1 alt" in words: parity by a recurrent unit, and by two threshold units.

Source: homework 3-1 and its alternative.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from minigrad.runtime import blas
from theory.certificates import Certificate, certificate
from theory.claims import Claim, Corrected, Statement
from theory.parity import checks, domains
from theory.parity.bounds import failure
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
)
from theory.parity.one_unit import FARKAS
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
)
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

DENSITIES = "{:g} %, {:g} % or {:g} %".format(*(100 * density for density in domains.DENSITIES))
LONG = f"the same at every step of random sequences of {domains.LONG:,} bits, of which {DENSITIES} are ones"

# 3-1: one unit that multiplies --------------------------------------------------------------------

STATEMENT = Statement(
    "h_t = h_{t-1} + x_t - h_{t-1} x_t with h_0 = 0 gives y_t = h_t = x_1 xor … xor x_t, for all bits x.",
    r"$h_t=h_{t-1}+x_t-h_{t-1} x_t$ with $h_0=0$ gives $y_t=h_t=x_1 \oplus \dots \oplus x_t$, "
    r"for all bits $x$.",
)

CORRECTED = Corrected(
    "h_t = h_{t-1} + x_t - 2 h_{t-1} x_t; the printed formula is OR.",
    r"$h_t=h_{t-1}+x_t-2 h_{t-1} x_t$; the printed formula is OR.",
    by=("all short sequences", "long sequences", "the printed formula is OR"),
)

PROOF = r"""On bits, $h+x-hx=1-(1-h)(1-x)$ is OR: 0 only for $h=x=0$. It stays 1 after the first 1, so it errs as soon
as the parity returns to 0, first on $(1,1)$.

XOR is 1 if and only if $h \ne x$, that is $h(1-x)+x(1-h)=h+x-2hx$. By induction $h_t$ is the parity of the first $t$
bits.

With the signs $1-2h$ and $1-2x$ the step is a product: $1-2h_t=(1-2h_{t-1})(1-2x_t)$. So
$h_T=\frac12\bigl(1-\prod_t (1-2x_t)\bigr)$ for all real $x_t$, and
$\partial h_T / \partial x_t=\prod_{i \ne t} (1-2x_i)=\pm 1$ at bits."""

PROPOSITIONS = (
    Proposition(
        "the formula",
        "h_t = h_{t-1} + x_t - h_{t-1} x_t from h_0 = 0 gives the parity of every bit sequence",
        checks.one_sequence(checks.through_tensors(or_unit)),
        domains.SHORT,
        "formula",
        latex=r"$h_t=h_{t-1}+x_t-h_{t-1}x_t$ from $h_0=0$ gives the parity of every bit sequence.",
        false=True,
    ),
    Proposition(
        "all short sequences",
        "h_t = h_{t-1} + x_t - 2 h_{t-1} x_t gives the parity, for all 2^T sequences of each length T = 1, …, "
        f"{domains.LONGEST}",
        checks.all_of_a_length(checks.through_tensors(xor_unit)),
        domains.LENGTHS,
        "corrected",
    ),
    Proposition(
        "long sequences",
        LONG,
        checks.long_sequences(checks.through_arrays(xor_unit)),
        domains.LONG_SEQUENCES,
        "corrected",
        share=0.03,
    ),
    Proposition(
        "the printed formula is OR",
        "for bits h and x, h + x - h x is OR",
        checks.is_or,
        domains.PAIRS,
        "corrected",
    ),
    Proposition(
        "gradient",
        "the derivative of h_T with respect to each bit is 1 or -1, so it neither vanishes nor explodes (up to 100 "
        "bits)",
        checks.gradient,
        domains.SEQUENCES,
        "general",
        share=0.3,
    ),
)


def show_unit() -> str:
    """Write the truth tables of OR, XOR and the two formulas, and both runs on (1, 1)."""
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
    corrected=CORRECTED,
    proof=PROOF,
    draw=draw_recurrences,
    display=show_unit,
)

# 3-1 alt: two threshold units ---------------------------------------------------------------------

ALT_STATEMENT = Statement(
    "Two units, an OR with threshold 1/2 and an AND with threshold 3/2, compute the parity of the bits so far: "
    "h1_t = h1_{t-1} + x_t - 0.5, h2_t = h2_{t-1} + h1_t x_t - 1.5, y_t = [h1_t - h2_t - 0.5 > 0].",
    r"Two units, an OR with threshold $\frac12$ and an AND with threshold $\frac32$, compute the parity of the bits so "
    r"far. The homework prints them as $h_1=h_1+x-0.5$, $h_2=h_2+h_1^t x-1.5$ and $y=[h_1-h_2-0.5>0]$.",
)

ALT_CORRECTED = Corrected(
    "Both units read the parity so far, s = h1 - h2: the next h1 is step(s + x - 1/2), the next h2 step(s + x - 3/2), "
    "y = h1 - h2, with step(0) = 0. This is a vanilla RNN with Wx = [[1, 1]], Wh = [[1, 1], [-1, -1]] and "
    "b = [-1/2, -3/2].",
    r"Both units read the parity so far, $s=h_1-h_2$: the next $h_1$ is $\mathrm{step}(s+x-\frac12)$, the next $h_2$ "
    r"is $\mathrm{step}(s+x-\frac32)$, and $y=h_1-h_2$, with $\mathrm{step}(0)=0$. This is a vanilla RNN "
    r"with $W_x=(1,1)$, $W_h$ with the rows $(1,1)$ and $(-1,-1)$, and $b=(-\frac12,-\frac32)$.",
    by=("all short sequences", "long sequences", "one step"),
)

ALT_PROOF = r"""*As printed* there is no step function, and $h_1^t x$ may mean the product of $x$ and the first unit, or
$x$ itself. Both readings fail:

- With a step, the AND unit starts at 0 and stays there, because $0+1<\frac32$. The OR unit stays 1 after the first 1.
  So the network computes OR, and fails on $(1,1)$.
- Without a step, the bit 0 gives $h_1=-\frac12$ and $h_2=-\frac32$. So $h_1-h_2-\frac12>0$, and the network fails on
  $(0)$.

*Corrected:* $s+x$ is 0, 1 or 2, so the next $h_1-h_2$ is 0, 1 or 0: the XOR of $s$ and $x$.

*With tanh* the hidden bits are $\pm 1$. A gain $g>0$ gives the weights $g W_x$, $g W_h / 2$ and $g b$. Let
$s=(h_1-h_2)/2$ and $f_g(u)=\frac12\bigl(\tanh g(u-\frac12)-\tanh g(u-\frac32)\bigr)$. Then $s_0=0$,
$s_t=f_g(s_{t-1}+x_t)$ and $y=[s>\frac12]$. The function $f_g$ has four properties:

1. $f_g(1+v)=f_g(1-v)$.
2. $f_g$ rises up to $u=1$, because the slope of tanh is even and falls with the distance from 0.
3. On $[\frac12,\frac32]$ it rises with $g$, because $u-\frac12$ and $\frac32-u$ are $\ge 0$ and not both 0.
4. $f_g(u)+f_g(1-u)$ is $\frac12\bigl(\tanh g(\frac32-u)+\tanh g(\frac12+u)\bigr)<1$.

Theorem: *the network is right for every length if and only if some $b \in (\frac12,1]$ has $f_g(b) \ge b$.*

If there is such a $b$, let $a=1-b$. No state leaves the intervals $[0,a]$ for parity 0 and $[b,1]$ for parity 1. By (1)
and (2), the largest next state for parity 0 is $f_g(a)$, which by (4) is below $1-f_g(b) \le a$. The smallest next
state for parity 1 is $f_g(b) \ge b$.

If no such $b$ exists, $f_g(s)<s$ on the whole of $[\frac12,1]$, because also $f_g(\frac12)<\frac12$. The interval is
compact, so each 0 after the first 1 lowers the state by at least some $m>0$, until the parity 1 is lost.

*The critical gain.* Let $M(g)$ be the largest $f_g(s)-s$ on $[\frac12,1]$. It is continuous, and by (3) it rises
strictly, from below 0 to above 0. The network is right if and only if $M(g) \ge 0$, so exactly for gains $g \ge g_c$.
There $f_g$ touches the line $s$ inside the interval, because $f_g(\frac12)<\frac12$ and $f_g(1)<1$: $f_g(s)=s$ with
slope 1 gives $g_c=2.330212853…$, $s=0.62226…$ Fractions prove that 1 0 0 … 0 fails at gain 2.33021, and that every
length is right at 2.33022. Random bits rarely show the failure, because it needs many zeros in a row.

*If $W_h$ and the readout stay the same*, the network is right only at the gain $\frac12 \ln 3$;
`theory show 3-1-alt` prints the proof.

*One unit* $h_t=\varphi(wh_{t-1}+vx_t+c)$ with a monotone $\varphi$ and $y=[h>\theta]$ cannot compute parity. Let
$\varphi$ rise. Two bits reach a state $e$ of parity 0 and a state $o$ of parity 1. From $e$, a 1 must lead above
$\theta$ and a 0 must not, so $v>0$. From $o$, a 0 must and a 1 must not, so $v<0$. A falling $\varphi$ or a readout
$[h<\theta]$ reverses all signs. For a step function the four inequalities $we+c \le 0$, $we+v+c>0$, $wo+c>0$ and
$wo+v+c \le 0$ add up to $0<0$ with the multipliers $(1,1,1,1)$."""

ONLY_GAIN = """The weights as they are, times a gain g, with y = [h1 - h2 > 1/2]:
they compute parity with tanh only at g = ln(3) / 2.

From s_0 = 0, s = h1 - h2 follows s_t = F(s_{t-1} + x_t) with F = 2 f_g. By (1) and (2) of the proof on the page, F
rises up to 1 and then falls, so no state is above F(1) = 2 tanh(g / 2).

At g = ln(3) / 2, tanh g = 1/2, so F(1/2) = F(3/2) = 1/2 and F(1) = 4 - 2 √3 = 0.536. States of parity 0 stay in
[0, 1/2), those of parity 1 in (1/2, 0.536]. A 0 keeps s on its side of 1/2. A 1 leads from parity 0 to u in [1, 3/2),
where F > 1/2, and from parity 1 to u > 3/2, where F < 1/2. This is exact arithmetic: each 0 shrinks the distance from
1/2 to about a seventh, as F has the slope g tanh² g = 0.137 there.

Below, 1 0 0 … 0 fails. F(1/2) = tanh g < 1/2. F is concave on [1/2, 3/2] and has the slope g tanh² g < 1 at 1/2, so
F(s) <= tanh g + (s - 1/2) for s from 1/2 to 1. Each 0 takes 1/2 - tanh g or more from the state until it is at most
1/2.

From g = 13/5 on, 1 0 fails. By (1) its last state is F(q) with q = 2 - F(1) = 4 / (e^g + 1) < 0.28. As
g (1/2 - q) > 0.57 > ln(3) / 2, F(q) < 1 - tanh(g (1/2 - q)) < 1/2.

Between, 0 0 … 0 fails: F(1/2 - d) + d > 1/2 for d from 0 to 1/2, so each 0 raises a state of at most 1/2 by some
fixed amount or more. For g <= 1 the left side rises with d from tanh g, as F' < g. For g > 1 it is at least
tanh g - m(g), where m(g) is the largest tanh(g d) - d for d >= 0. It is r - artanh(r) / g with r² = 1 - 1/g, and rises
with g. So it suffices that tanh 1 - m(7/5) > 0.76 - 0.11 and tanh(7/5) - m(13/5) > 0.885 - 0.38 are above 1/2."""

ALT_PRINTED = (
    Proposition(
        "the product",
        "h1_t = step(h1_{t-1} + x_t - 1/2), h2_t = step(h2_{t-1} + h1_t x_t - 3/2), y_t = step(h1_t - h2_t - 1/2) "
        "gives the parity of every bit sequence",
        checks.one_sequence(checks.outputs(printed_network)),
        domains.SHORT,
        "formula",
        latex=r"$h_{1,t}=\mathrm{step}(h_{1,t-1}+x_t-\frac12)$, $h_{2,t}=\mathrm{step}(h_{2,t-1}+h_{1,t}x_t-\frac32)$ "
        r"and $y_t=\mathrm{step}(h_{1,t}-h_{2,t}-\frac12)$ give the parity of every bit sequence.",
        false=True,
    ),
    Proposition(
        "the product without a step",
        "h1_t = h1_{t-1} + x_t - 1/2, h2_t = h2_{t-1} + h1_t x_t - 3/2, y_t = [h1_t - h2_t - 1/2 > 0] gives the "
        "parity, without a step function",
        checks.one_sequence(checks.outputs(printed_linear_network)),
        domains.SHORT,
        "formula",
        latex=r"Without step functions, $h_{1,t}=h_{1,t-1}+x_t-\frac12$, $h_{2,t}=h_{2,t-1}+h_{1,t}x_t-\frac32$ and "
        r"$y_t=[h_{1,t}-h_{2,t}-\frac12>0]$ give the parity.",
        false=True,
    ),
    Proposition(
        "each unit fed by its own past",
        "the same with h2_t = step(h2_{t-1} + x_t - 3/2), the other reading",
        checks.one_sequence(checks.outputs(partial(printed_network, product=False))),
        domains.SHORT,
        "formula",
        latex=r"The same with $h_{2,t}=\mathrm{step}(h_{2,t-1}+x_t-\frac32)$, the other reading.",
        false=True,
    ),
    Proposition(
        "the same without a step",
        "the same with h2_t = h2_{t-1} + x_t - 3/2, without a step function",
        checks.one_sequence(checks.outputs(partial(printed_linear_network, product=False))),
        domains.SHORT,
        "formula",
        latex=r"The same with $h_{2,t}=h_{2,t-1}+x_t-\frac32$, without a step function.",
        false=True,
    ),
    Proposition(
        "the gates",
        "for two bits a and b, step(a + b - 1/2) is OR, step(a + b - 3/2) is AND, and [OR - AND - 1/2 > 0] is XOR",
        checks.gates,
        domains.PAIRS,
        "formula",
    ),
)

ALT_CORRECTIONS = (
    Proposition(
        "all short sequences",
        "with s = h1 - h2 of the step before, h1 = step(s + x - 1/2), h2 = step(s + x - 3/2), y = h1 - h2 gives the "
        f"parity, for all 2^T sequences of each length T = 1, …, {domains.LONGEST}",
        checks.all_of_a_length(checks.outputs(threshold_network)),
        domains.LENGTHS,
        "corrected",
    ),
    Proposition(
        "long sequences",
        LONG,
        checks.long_sequences(checks.outputs(threshold_network)),
        domains.LONG_SEQUENCES,
        "corrected",
        share=0.03,
    ),
    Proposition(
        "one step",
        "for each state (0, 0), (1, 0), (1, 1) and each bit, the RNN with Wx = (1, 1), Wh = [[1, 1], [-1, -1]] "
        "and b = (-1/2, -3/2) makes that step, and y = s xor x",
        checks.one_step,
        domains.THREE_STATES,
        "corrected",
    ),
)

TANH = (
    Proposition(
        "one number",
        "with tanh, s = (h1 - h2) / 2 follows s_t = f(s_{t-1} + x_t) alone (gains 0.1 to 20)",
        checks.one_number,
        domains.ONE_NUMBER,
        "general",
    ),
    Proposition(
        "worst inputs",
        "a search that takes one step per bit finds the inputs with the largest s at parity 0 and the smallest s at "
        "parity 1 (all inputs of up to 9 bits, gains 0.1 to 20)",
        checks.worst_inputs,
        domains.WORST,
        "general",
    ),
    Proposition(
        "exact bounds of exp",
        "exp(q) lies between two fractions that differ by at most 2^-79 of it, and, with exp(-q), between two of "
        "the checker's that differ by at most 2^-160 of it (q = 0, 10^-30, 2^-40, 1/7, a grid up to 60)",
        checks.exponential,
        domains.EXPONENTS,
        "general",
    ),
    Proposition(
        "exact bounds",
        "f(u) lies between two fractions that differ by at most 2^-85, or more if computed with 8 to 160 bits "
        "instead of 96; the checker encloses it to 10^-40 (rational gains 0.1 to 100, u from 0 "
        "to 2)",
        checks.exact_bounds,
        domains.POINTS,
        "general",
    ),
    Proposition(
        "bounds of ranges",
        "the checker encloses (1 - s) / (1 + s + w + n) for all ends of ranges of s, w and n, also wide ones (s to "
        "1, w and n to 9)",
        checks.quotient_of_ranges,
        domains.RANGES,
        "general",
    ),
    Proposition(
        "critical gain",
        f"exact arithmetic proves that 1 0 0 … 0 fails at gain {float(BELOW)}, and so by (2) and (3) of the proof at "
        f"every smaller one; and that every length is right at {float(ABOVE)}, and so by (3) and (4) at every larger "
        "one",
        checks.bracket,
        domains.BRACKET,
        "general",
        show=str,
    ),
    Proposition(
        "nothing false is proven",
        f"with 8, 12, 16, 32 or 96 bits no failure is proven at gains {float(ABOVE)} to 4, and no interval [b, 1] of "
        f"a grid of b at gains up to {float(BELOW)}",
        checks.nothing_false_is_proven,
        domains.BITS_AND_GAINS,
        "general",
        share=0.3,
        show=str,
    ),
    Proposition(
        "corrupted proofs",
        "the checks reject a proof of failure whose state is lowered by 2^-80, whose last state is missing, or whose "
        "gain works. They also reject intervals that overlap, do not add up to 1, or belong to a gain that fails",
        checks.spoilt_proofs_are_refused,
        domains.PROOFS,
        "general",
        share=0.3,
        show=str,
    ),
    Proposition(
        "above it",
        "there are invariant intervals, checked in exact arithmetic, and mg.ops.rnn is right on "
        f"{domains.RUN:,} bits (gains {float(ABOVE)} to 1000)",
        checks.works,
        domains.ABOVE_CRITICAL,
        "general",
    ),
    Proposition(
        "below it",
        f"mg.ops.rnn fails on 1 0 0 … 0; if within {checks.SOON} steps, no other input fails earlier, and exact "
        f"arithmetic agrees on the step (gains 0.01 to {float(BELOW)})",
        checks.fails,
        domains.BELOW_CRITICAL,
        "general",
    ),
    Proposition(
        "rarely seen",
        "at gain 2.33, where 1 0 0 … 0 fails, 100 random sequences of that length are right at every step",
        checks.rarely_seen,
        domains.RUNS,
        "general",
        share=0.1,
    ),
    Proposition(
        "the weights as they are",
        "the threshold network's own weights times a gain fail with tanh: on 1 0 … 0 below ln(3) / 2, on 0 … 0 above "
        "it, and on 1 0 from 13/5 on (gains 0.01 to 1000, not within 1e-6 of ln(3) / 2)",
        checks.raw_fails,
        domains.RAW_GAINS,
        "general",
    ),
)

LEARNING = (
    Proposition(
        "Fisher's test",
        "the p of the training table compares a row with all others together: 17/35 for 3 of 4 against 1 of 4, and two "
        "larger tables",
        checks.p_of_the_first_row,
        domains.TABLES,
        "general",
    ),
)

ONE_UNIT = (
    Proposition(
        "one unit: a certificate",
        "the inequalities that parity requires of one threshold unit add up to 0 < 0, whatever fractions represent the "
        "parities; two bits reach all four cases",
        checks.contradiction,
        domains.STATES_AND_BITS,
        "general",
    ),
    Proposition(
        "one unit: no other certificate",
        "the check does not refute the inequalities that a random unit satisfies at two states and both bits. It "
        "rejects multipliers that are negative, do not cancel, or omit every strict inequality",
        checks.only_contradictions,
        domains.SYSTEMS,
        "general",
    ),
    Proposition(
        "one unit: monotone",
        "units h_t = phi(w h_{t-1} + v x_t + c) with phi monotone and a threshold readout fail on a sequence of one or "
        "two bits",
        checks.one_unit_fails,
        domains.MONOTONE_UNITS,
        "general",
    ),
)


def show_network() -> str:
    """Write the network's matrices, its states beside those of the printed one, and tanh networks."""
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
    return "\n".join([*lines, "", ONLY_GAIN])


def certify() -> Iterator[Certificate]:
    """Certify a gain on either side of the critical one, and that no threshold unit computes parity.

    For states e and o of the parities 0 and 1, the inequalities are those of (w e, w o, v, c).
    """
    fails, works = failure(BELOW, checks.LONG_ENOUGH, bits=48), intervals(ABOVE)
    if fails is not None:
        yield certificate("failure", gain=BELOW, states=fails.states)
    yield certificate("intervals", gain=ABOVE, a=works.a, b=works.b)
    system = [([(-1) ** (p ^ x) * c for c in (1 - p, p, x, 1)], p != x) for p, x in product((0, 1), repeat=2)]
    yield certificate("contradiction", system=system, multipliers=FARKAS)


# Learning it -------------------------------------------------------------------------------------

TRAINING = f"""## Learning it

minigrad trains an RNN with a linear readout on random bits: {BASE.iterations:,} steps of Adam, {len(SEEDS)} seeds for
each setting. Each network then runs {LIMIT:,} steps on 200 random sequences and on 35 structured ones, such as
0 0 … 0 and 1 0 … 0. The first row is the base; each other row changes one setting. p is from Fisher's exact test of
the networks without any error in this row against those in all other rows."""

MACHINE = """These numbers were measured with NumPy {numpy} and the OpenBLAS kernel {kernel} on {processor}. Another
kernel rounds differently: the kernels Haswell, Prescott and SkylakeX change the counts of a setting by up to 3."""

WEIGHTS = """The norms are spectral norms of the trained recurrent weights. The critical scale is the smallest
factor for all weights, in steps of 0.02, at which a network still answers 500 steps of the structured sequences
correctly. It is the counterpart of the critical gain."""


def measure_training() -> str:
    """Train every setting with every seed, and return the results as Markdown."""
    results = train_all()
    folded = "<details><summary>The trained weights</summary>", WEIGHTS, _weights_table(results), "</details>"
    return "\n\n".join([TRAINING, _lengths_table(results), _differences(results), describe_machine(), *folded])


def describe_machine() -> str:
    """Say on which machine the networks were trained, as other processors give other numbers."""
    vendor, family = blas.processor()
    processor = f"{vendor}, family {family}" if vendor else platform.machine()
    return MACHINE.format(numpy=np.__version__, kernel=blas.kernel() or "(unknown)", processor=processor)


def _lengths_table(results: Results) -> str:
    rows = ["| training | no error on random sequences | no error on either kind | p |", "|---|---|---|---|"]
    for setting, trained in results.items():
        counts = f"{sum(t.random == LIMIT for t in trained)} | {sum(t.never_erred for t in trained)}"
        rows.append(f"| {setting.name} | {counts} | {against_the_others(setting, results):.2g} |")
    return "\n".join(rows)


def _differences(results: Results) -> str:
    """Say what the first table shows."""
    everything = [t for trained in results.values() for t in trained]
    random = [t for t in everything if t.random == LIMIT]
    hidden = sum(not t.never_erred for t in random)
    which = ", ".join(f"“{setting.name}”" for setting in differing(results)) or "none"
    return f"""{len(random)} networks make no error on random sequences, but {hidden} of them fail on a structured one.
Settings that differ significantly from the others (5 % level over all {len(results)} tests): {which}."""


def _weights_table(results: Results) -> str:
    bits = structured_sequences(500)
    rows = ["| training | norm, no error | norm, some error | critical scale |", "|---|---|---|---|"]
    for setting, trained in results.items():
        held = [t.network for t in trained if t.never_erred]
        erred = [t.network for t in trained if not t.never_erred]
        norms = [_range([np.linalg.norm(network.Wh, 2) for network in networks]) for networks in (held, erred)]
        scales = _range([critical_scale(network, bits) for network in held])
        rows.append(f"| {setting.name} | {' | '.join(norms)} | {scales} |")
    return "\n".join(rows)


def _range(values: list[Any]) -> str:
    """Write the smallest and the largest of some numbers."""
    ends = sorted({f"{min(values):.2f}", f"{max(values):.2f}"}, key=float) if values else ["-"]
    return "–".join(ends)


CLAIM_3_1_ALT = Claim(
    number="3-1 alt",
    title="Two recurrent threshold units compute parity",
    statement=ALT_STATEMENT,
    source="homework 3-1, the alternative",
    propositions=(*ALT_PRINTED, *ALT_CORRECTIONS, *TANH, *LEARNING, *ONE_UNIT),
    corrected=ALT_CORRECTED,
    proof=ALT_PROOF,
    draw=draw_network,
    display=show_network,
    certify=certify,
    interactive="parity",
    measure=measure_training,
)
