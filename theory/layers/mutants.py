"""Errors in the mathematics of layers and units; see `theory.mutation`."""

from __future__ import annotations

from theory.mutation import Mutant

__all__ = ["MUTANTS"]

MUTANTS = (
    Mutant("5-1", "layers/attention.py", "several[:, None, :]] == mask).all", "several[:, None, :]] == mask).any",
           "one preserved entry of the mask is enough", "preserved(np.tri(3, dtype=bool)).sum()"),
    Mutant("5-1", "layers/attention.py", "[[0.0, 0.0, 1.0]]", "[[0.0, 1.0, 0.0]]", "the mean layer has no values",
           "mean_layer()([[1.0], [3.0]]).numpy().ravel().tolist()"),
    Mutant("5-1", "layers/checks.py", "sum(1 / i for i", "sum(1 for i", "a causal layer sums instead of averages",
           "causal_layers(2)"),
    Mutant("5-2", "layers/attention.py", "1.5 * constant", "constant", "the steep tokens are not steep enough",
           "round(steep_tokens(6.0)[1, 0], 3)"),
    Mutant("5-2", "layers/attention.py", "(a - d, b - c)", "(a - c, b - d)", "differences of ranges pair equal ends",
           "[float(end) for end in jacobian_ranges([(Fraction(0), Fraction(1))])[0][0]]"),
    Mutant("5-2", "layers/attention.py", "(1 / high, 1 / low)", "(1 / low, 1 / high)",
           "the bounds of the weights are exchanged",
           "[float(end) for end in jacobian_ranges([(Fraction(0), Fraction(1))])[0][0]]"),
    Mutant("5-2", "layers/checks.py", "R**2 * A * (1", "R * A * (1", "the bound is linear in the radius",
           "_require_ball_bound(np.diag([40.0]), 1, 5.0, 1.0, 1.0)"),
    Mutant("5-3", "layers/checks.py", "eps / a**2", "eps / a", "the factor divides epsilon once",
           "scales_epsilon((0, 1.0, 2.0))"),
    Mutant("5-3", "layers/checks.py", "np.sign(a) * _normalised", "_normalised", "the sign of the factor is forgotten",
           "scales_epsilon((0, 1.0, -2.0))"),
    Mutant("5-3", "layers/networks.py", "BatchNorm1d(4, eps=eps", "BatchNorm1d(4, eps=0.0",
           "no network has an epsilon", "normalised_network(0, 1.0)[1].eps"),
    Mutant("5-3", "layers/checks.py", "a**2 * (W.grad**2)", "abs(a) * (W.grad**2)", "the rate is not squared",
           "orthogonal_gradient((0, 0.0, 2.0))"),
    Mutant("5-4", "checker.py", "score < scores[word]", "score <= scores[word]", "a tie is won",
           "bool(largest_score([[[1], 0], [[1], 0]], 0, [0]))"),
    Mutant("5-4", "checker.py", "sum(map(abs, gaps)) + gap", "abs(sum(gaps)) + gap",
           "the norm of a difference is the modulus of its sum",
           "bool(never_largest([[[0, 0], 0], [[1, -1], 0]], 0, [0, 1]))"),
    Mutant("5-4", "layers/softmax.py", "(bias - b, *", "(b - bias, *", "the biases have the wrong sign",
           "decide([([0], 1), ([0], 0)], 0)"),
    Mutant("5-4", "layers/softmax.py", "Fraction(row[0] <= 0)", "Fraction(row[0] < 0)", "0 counts as above 0",
           "solve([(0,)])"),
    Mutant("5-5", "layers/checks.py", "np.abs(z).mean() ** 2 / 4", "np.abs(z).mean() ** 2 / 2",
           "the mean of relu(z) is that of |z|, over the root of 2", "halves_mean_square([1])"),
    Mutant("5-5", "layers/checks.py", "0.5 - 0.5 / math.pi", "0.5 - 1 / math.pi",
           "a normal z has twice its squared mean", "normal_variance(0.01)"),
    Mutant("5-5", "layers/checks.py", "product((-1.0, 1.0)", "product((0.0, 1.0)", "the signs are 0 and 1",
           "signs_keep_the_square([1, 2])"),
    Mutant("5-6", "layers/checks.py", "rows[twin] = rows[0]", "rows[twin] = rows[0] + 1e-15", "twins are only close",
           'twins_stay_equal(("SGD", "tanh", 0))'),
    Mutant("5-6", "layers/checks.py", "change[0] * outgoing[1], change[1] * outgoing[0]",
           "change[0] * outgoing[0], change[1] * outgoing[1]",
           "changes are inversely proportional to the outgoing weights", "outgoing_weights_separate((1, 2))"),
    Mutant("5-6", "layers/networks.py", '"Adagrad": partial(optim.Adagrad, lr=0.05),',
           '"Adagrad": partial(optim.Adam, lr=0.05),', "Adagrad is not tried",
           'OPTIMISERS["Adagrad"].func.__name__'),
)  # fmt: skip
"""Planted errors, which the claims must notice."""
