"""Claim "3-1 alt": parity by two threshold units, and by two tanh units with a gain; one unit is not enough.

The networks are in `parity_units`, the tanh network in `parity_gain` and its proofs in `parity_bounds`, the single unit
in `parity_one_unit`, training in `parity_training`; what is checked in `parity_checks`, the words in
`parity_network_text`.
"""

from __future__ import annotations

from fractions import Fraction

from hypothesis import strategies as st

from theory import parity_checks as checks
from theory.claims import FALSE, Claim, Proposition, every
from theory.parity import LONG, LONGEST
from theory.parity_figures import draw_network
from theory.parity_gain import ABOVE, BELOW
from theory.parity_network_text import CORRECTED, PROOF, STATEMENT, show_network
from theory.parity_training import measure_training
from theory.parity_units import printed_linear_network, printed_network, sequences_up_to
from theory.registry import register

__all__ = ["CLAIM_3_1_ALT"]

SEEDS = st.integers(0, 2**32 - 1)
DENSITIES = st.sampled_from([0.001, 0.5, 0.999])

PROPOSITIONS = (
    Proposition(
        "each unit fed by its own past", "h1 = step(h1 + x - 1/2), h2 = step(h2 + x - 3/2), y = step(h1 - h2 - 1/2) "
        "gives the parity of every bit sequence",
        checks.sequence_on(printed_network), lambda n: sequences_up_to(10), false=True,
    ),
    Proposition(
        "the same without a step", "h1 = h1 + x - 1/2, h2 = h2 + x - 3/2, y = [h1 - h2 - 1/2 > 0], no function "
        "being written, gives it", checks.sequence_on(printed_linear_network), lambda n: sequences_up_to(10),
        false=True,
    ),
    Proposition(
        "all short sequences", "with s = h1 - h2, h1 = step(s + x - 1/2), h2 = step(s + x - 3/2), y = h1 - h2 gives "
        f"it, for all 2^T sequences of each length T = 1, …, {LONGEST}",
        checks.all_of_a_length, lambda n: range(1, LONGEST + 1), "corrected",
    ),
    Proposition(
        "long sequences", f"it does at every step of random sequences of {LONG:,} bits, from rare ones to rare zeros",
        checks.long_sequences, st.tuples(DENSITIES, SEEDS), "corrected", share=0.03,
    ),
    Proposition(
        "one number", "with tanh, s = (h1 - h2) / 2 follows s' = f(s + x) alone, for every gain", checks.one_number,
        st.tuples(st.floats(0.1, 20), st.lists(st.integers(0, 1), min_size=1, max_size=60)), "general",
    ),
    Proposition(
        "worst inputs", "of all inputs those found in one step a bit lead to the largest s at parity 0 and the "
        "smallest at parity 1", checks.worst_inputs, st.tuples(st.floats(0.1, 20), st.integers(1, 9)), "general",
    ),
    Proposition(
        "exact bounds", "f(u) lies between two fractions that differ by 2^-60 at most", checks.exact_bounds,
        st.tuples(st.fractions(Fraction(1, 10), 100), st.fractions(0, 2)), "general",
    ),
    Proposition(
        "critical gain", f"exact arithmetic proves that 1 0 0 … 0 fails at every gain up to {float(BELOW)}, and that "
        f"every length is right at every gain from {float(ABOVE)} on",
        checks.bracket, every(("fails", BELOW), ("works", ABOVE)), "general", show=str,
    ),
    Proposition(
        "above it", f"from {float(ABOVE)} to 1000 there are invariant intervals, checked in exact arithmetic, and "
        "1,000 bits come out right through mg.ops.rnn", checks.works,
        st.tuples(st.just(float(ABOVE)) | st.floats(float(ABOVE), 1000), DENSITIES, SEEDS), "general",
    ),
    Proposition(
        "below it", f"at every gain up to {float(BELOW)} the input 1 0 0 … 0 fails through mg.ops.rnn, no other input "
        "fails earlier, and exact arithmetic agrees on the step", checks.fails,
        st.just(float(BELOW)) | st.floats(0.01, float(BELOW)), "general",
    ),
    Proposition(
        "rarely seen", "at gain 2.33, where 1 0 0 … 0 fails, 100 random sequences of the length at which it does are "
        "right at every step", checks.rarely_seen, SEEDS, "general", share=0.1,
    ),
    Proposition(
        "the weights as they are", "without the encoding, the threshold network's weights times a gain from 0.01 to "
        "1000 fail with tanh on 1 0 … 0 or 0 … 0, but for the one gain ln(3) / 2", checks.raw_fails,
        st.floats(0.01, 1000).filter(lambda g: abs(g - checks.ONLY_RAW_GAIN) > 1e-6), "general",
    ),
    Proposition(
        "one unit: a certificate", "what parity asks of one threshold unit adds up to 0 < 0, whatever numbers stand "
        "for the parities, and all four cases are met from two bits on", checks.contradiction,
        st.tuples(st.integers(2, 8), st.fractions(max_denominator=99), st.fractions(max_denominator=99)), "general",
    ),
    Proposition(
        "one unit: monotone", "every unit h' = phi(w h + v x + c) with phi monotone and a threshold readout fails on a "
        "sequence of one or two bits", checks.one_unit_fails, checks.monotone_units(), "general",
    ),
)  # fmt: skip

CLAIM_3_1_ALT = register(
    Claim(
        number="3-1 alt",
        title="Two recurrent threshold units compute parity",
        statement=STATEMENT,
        source="homework 3-1, the alternative",
        propositions=PROPOSITIONS,
        expected=FALSE,
        corrected=CORRECTED,
        proof=PROOF,
        draw=draw_network,
        display=show_network,
        measure=measure_training,
    )
)
