"""Claims 3-1 and "3-1 alt": parity by a recurrent unit, printed with a formula that is OR, and by two threshold units.

The mathematics is in `parity_units`, `parity_gain`, `parity_bounds` and `parity_one_unit`, and what is learnt in
`parity_training`; the examples are in `parity_domains`, the checkers in `parity_checks`, the words in `parity_texts`,
the pictures in `parity_figures`. This module puts the claims together.

Source: homework 3-1 and its alternative.
"""

from __future__ import annotations

from theory.claims import FALSE, Claim, Proposition
from theory.parity import checks, domains, texts
from theory.parity.bounds import proves_failure, proves_parity
from theory.parity.figures import draw_network, draw_recurrences
from theory.parity.gain import ABOVE, BELOW, critical_gain, intervals, tanh_network
from theory.parity.training import measure_training
from theory.parity.units import or_unit, parity, printed_linear_network, printed_network, threshold_network, xor_unit
from theory.registry import register

__all__ = [
    "CLAIM_3_1", "CLAIM_3_1_ALT", "critical_gain", "intervals", "or_unit", "parity", "printed_network",
    "proves_failure", "proves_parity", "tanh_network", "threshold_network", "xor_unit",
]  # fmt: skip

DENSITIES = ", ".join(f"{100 * density:g} %" for density in domains.DENSITIES)
LONG = f"it does at every step of random sequences of {checks.LONG:,} bits, of which {DENSITIES} are ones"

UNIT = (
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

PRINTED = (
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

CORRECTED = (
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

CLAIM_3_1 = register(
    Claim(
        number="3-1",
        title="A recurrent unit computes the parity of the bits so far",
        statement=texts.STATEMENT,
        source="homework 3-1",
        propositions=UNIT,
        expected=FALSE,
        corrected=texts.CORRECTED,
        proof=texts.PROOF,
        draw=draw_recurrences,
        display=texts.show_unit,
    )
)

CLAIM_3_1_ALT = register(
    Claim(
        number="3-1 alt",
        title="Two recurrent threshold units compute parity",
        statement=texts.ALT_STATEMENT,
        source="homework 3-1, the alternative",
        propositions=(*PRINTED, *CORRECTED, *TANH, *ONE_UNIT),
        expected=FALSE,
        corrected=texts.ALT_CORRECTED,
        proof=texts.ALT_PROOF,
        draw=draw_network,
        display=texts.show_network,
        measure=measure_training,
    )
)
