"""The checkers of claim 3-2: each takes one example and raises Refuted if its proposition is false of it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.eigenvalues.certificates import certify_kind, check_chain, check_defective, missing_dimensions
from theory.eigenvalues.defective import chain
from theory.eigenvalues.diagonalisation import eigendecomposition, eigenform, power_jacobian, printed_eigenform
from theory.eigenvalues.domains import Drawn, Network, Whole
from theory.eigenvalues.gradient_flow import cell_jacobians, forget_gates, rnn_bounds, rnn_jacobians, rnn_states
from theory.eigenvalues.powers import (
    gelfand,
    jordan_block,
    jordan_power,
    kreiss_lower_bound,
    perturbation,
    power_norms,
    spectral_norm,
    spectral_radius,
)
from theory.eigenvalues.schur import check_schur, schur_bound, schur_form
from theory.refutation import Refuted, Unsound, accepts, agree, require

EPSILON = float(np.finfo(float).eps)


def rounding(W: NDArray[Any], norms: NDArray[np.float64]) -> NDArray[np.float64]:
    """A tolerance for the norms of W's powers: W is known, and a product rounded, to 100 n epsilon ||W||.

    A tolerance above a millionth of a norm, or of 1, would accept wrong results, so it is unsound.
    """
    error = EPSILON + perturbation(norms, 100 * len(W) * EPSILON * max(1.0, float(norms[min(1, len(norms) - 1)])))
    if (error > 1e-6 * np.maximum(1.0, norms)).any():
        raise Unsound(f"a tolerance for rounding of {error.max():.3g} is too large to check anything")
    return error


def condition_tolerance(P: NDArray[Any], k: int) -> float:
    """A tolerance for k steps in the basis P: 100 k epsilon, times the condition number of P once each way.

    A tolerance above 1e-4 would accept wrong results, so it is unsound.
    """
    tolerance = 100 * k * EPSILON * float(np.linalg.cond(P)) ** 2
    if tolerance > 1e-4:
        raise Unsound(f"a tolerance for rounding of {tolerance:.3g} is too large to check anything")
    return tolerance


# Eigendecompositions ----------------------------------------------------------------------------


def jacobian_is_power(example: Whole) -> None:
    """dh_k/dh_0 = (W')^k, by whole numbers, whichever way a step is written."""
    power = np.eye(len(example.matrix), dtype=int).astype(object)
    for _ in range(example.k):
        power = example.matrix.T @ power
    for rows in (False, True):
        agree(power_jacobian(example.matrix, example.k, rows), power.astype(float), "dh_k/dh_0")


def printed_form(example: Whole) -> None:
    """(P')^-1 D^k P^-1 is the Jacobian."""
    form = printed_eigenform(example.vectors, example.eigenvalues, example.k)
    agree(form, power_jacobian(example.matrix, example.k), "(P')^-1 D^k P^-1 against dh_k/dh_0")


def printed_power(example: Whole) -> None:
    """The k-th power of (P')^-1 D P^-1 is (P')^-1 D^k P^-1, as printed for k = 2."""
    P, eigenvalues, k = example.vectors, example.eigenvalues, example.k
    one = printed_eigenform(P, eigenvalues, 1)
    agree(np.linalg.matrix_power(one, k), printed_eigenform(P, eigenvalues, k), "the power of (P')^-1 D P^-1")


def corrected_form(example: Whole) -> None:
    """(P')^-1 D^k P' is the Jacobian."""
    form = eigenform(example.vectors, example.eigenvalues, example.k)
    agree(form, power_jacobian(example.matrix, example.k), "(P')^-1 D^k P' against dh_k/dh_0")


def corrected_form_in_floats(example: Drawn) -> None:
    """The same to rounding."""
    form_to_rounding(example.matrix, 1 + example.seed % 20)


def form_to_rounding(W: NDArray[np.float64], k: int) -> None:
    """Compare (P')^-1 D^k P' with the Jacobian; rounding enters by the condition number of P, once each way."""
    P, eigenvalues = eigendecomposition(W)
    tolerance = condition_tolerance(P, k)
    agree(eigenform(P, eigenvalues, k), power_jacobian(W, k), "(P')^-1 D^k P' against dh_k/dh_0", tolerance)


def ill_conditioned(c: int) -> None:
    """W with the rows (1, c) and (0, 2): the condition number of P is above 2 c, and the tolerances are still small."""
    W = np.array([[1.0, c], [0.0, 2.0]])
    require(np.linalg.cond(eigendecomposition(W)[0]) >= 2 * c, f"the condition number of P is below {2 * c}")
    form_to_rounding(W, 10)
    norm_between(W, 10, 2.0)


def rotation(rows: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """A normal W with the eigenvectors v = (1, -i) and (1, i): v'v = 0, so the printed form is wrong at any lengths."""
    W, P, eigenvalues = np.array(rows), np.array([[1, 1], [-1j, 1j]]), np.array([1j, -1j])
    agree(W @ W.T, W.T @ W, "W W' of a normal W")
    agree(W @ P, P * eigenvalues, "W P against P D")
    agree(np.diag(P.T @ P), [0, 0], "v'v")
    for k in (1, 2, 3):
        agree(eigenform(P, eigenvalues, k), power_jacobian(W, k), "(P')^-1 D^k P' against dh_k/dh_0")
        for lengths in (1, 2**-0.5, [1j, 3]):
            printed = printed_eigenform(P * lengths, eigenvalues, k)
            require(not accepts(agree, printed, power_jacobian(W, k), "", 0.1), "the printed form is right")


def printed_form_symmetric(example: Drawn) -> None:
    """A symmetric W has orthonormal eigenvectors; then P^-1 = P', so the printed form is the Jacobian, too."""
    eigenvalues, P = np.linalg.eigh(example.matrix)
    agree(printed_eigenform(P, eigenvalues, 5), power_jacobian(example.matrix, 5), "(P')^-1 D^k P^-1")


def has_eigendecomposition(W: list[list[int]]) -> None:
    """No eigenvalue of W proves that it has none: for a W of 1 or 2 rows with the entries -1, 0 and 1.

    Nothing is overlooked: a double eigenvalue of such a W is half of its trace and a whole number, in -1, 0, 1. The
    ranks must confirm the result; otherwise nothing is refuted, and the check is unsound.
    """
    for eigenvalue in (0, 1, -1):
        v = chain(W, eigenvalue)
        refuted = v is not None and accepts(check_chain, W, eigenvalue, v)
        if refuted != (missing_dimensions(W, eigenvalue) > 0):
            raise Unsound(f"{v} is accepted as a proof for the eigenvalue {eigenvalue}, but the ranks contradict it")
        require(not refuted, f"A = W - {eigenvalue} I has A v != 0 = A^2 v, v = {v}, which no P D P^-1 has")


def decided_exactly(example: Whole) -> None:
    """A vector proves that W (like W') has no eigendecomposition if and only if a Jordan block is larger than 1."""
    tried = set()
    for W, eigenvalue in itertools.product((example.matrix, example.matrix.T), range(-2, 3)):
        truth = any(size > 1 for value, size in example.blocks if value == eigenvalue)
        v = chain(W, eigenvalue)
        require((v is not None) == truth, f"{v} is found for the eigenvalue {eigenvalue}, a larger block is {truth}")
        if v is not None:
            check_chain(W, eigenvalue, v)
        require(accepts(check_defective, W, eigenvalue) == truth, f"ranks say {not truth} of {eigenvalue}")
        for unit in np.eye(len(W), dtype=int):
            wrong = not truth and accepts(check_chain, W, eigenvalue, unit)
            require(not wrong, f"{unit} is taken for a proof, but {eigenvalue} has no larger block")
        tried.add(eigenvalue)
    for value, _ in example.blocks:
        if value not in tried:
            raise Unsound(f"the eigenvalue {value} is not tried")


# Vanishing and exploding ------------------------------------------------------------------------


def between_radius_and_condition(example: Drawn) -> None:
    """radius^k <= ||dh_k/dh_0|| <= cond(P) radius^k for a diagonalisable W."""
    norm_between(example.matrix, 1 + example.seed % 40, example.radius)


def norm_between(W: NDArray[np.float64], k: int, radius: float) -> None:
    """Compare ||dh_k/dh_0|| with both bounds; W has this spectral radius."""
    P = eigendecomposition(W)[0]
    scaled = spectral_norm(power_jacobian(W, k)) / radius**k
    condition, tolerance = float(np.linalg.cond(P)), condition_tolerance(P, k)
    require(scaled >= 1 - tolerance, f"the norm is only {scaled:.6g} radius^{k}")
    require(scaled <= condition * (1 + tolerance), f"the norm is {scaled:.6g} radius^{k}, cond(P) {condition:.6g}")


def vanishes_or_explodes(example: Drawn) -> None:
    """The norm of dh_k/dh_0 falls below 1/1000, or exceeds 1000, after the number of steps that is promised."""
    W, bound = example.matrix, schur_bound(example.matrix)
    if example.radius < 1:
        k = bound.steps_below(1e-3)
        norm = spectral_norm(power_jacobian(W, k))
        require(norm < 1e-3 + EPSILON, f"after {k} steps the norm is {norm:.6g}")
    else:
        k = math.ceil(math.log(1e3) / math.log(example.radius))
        norm = spectral_norm(power_jacobian(W, k))
        require(norm > 1e3 * (1 - 1e-9), f"after {k} steps the norm is {norm:.6g}")
        require(norm <= bound.at(k) * (1 + 1e-9), f"after {k} steps the norm is {norm:.6g}, above the bound")


def gelfand_limit(example: Drawn) -> None:
    """radius^k <= ||W^k|| <= the bound from Schur's form, and the k-th root of the bound tends to the radius."""
    W, n = example.matrix, example.size
    try:
        check_schur(W, *schur_form(W))
    except ValueError as wrong:
        raise Refuted(str(wrong)) from None
    bound, norms = schur_bound(W), power_norms(W, 48)
    error = rounding(W, norms)
    for k, norm in enumerate(norms):
        require(norm >= bound.radius**k - error[k], f"||W^{k}|| = {norm:.6g} is below radius^k")
        above = bound.at(k) * (1 + 1e-12)
        require(norm <= above + error[k], f"||W^{k}|| = {norm:.6g} is above {above:.6g}")
        if example.kind in ("symmetric", "orthogonal"):  # normal, N = 0: nothing is lost
            require(norm >= above - 2 * error[k] - 1e-12 * above, f"||W^{k}|| = {norm:.6g}, the bound is {above:.6g}")
    agree(perturbation(norms, 1.0)[:2], [0.0, 1.0], "the bounds of how far W^0 and W move")
    roots, errors = gelfand(W, 10)
    doubled = (errors[1:] >= np.minimum(1.0, 2.0 * errors[:-1])).all()
    require(doubled, f"squaring doubles relative errors, but the bounds are {errors}")
    for m, (root, relative) in enumerate(zip(roots, errors, strict=True)):
        if relative < 0.5:  # else rounding has eaten the digits, which happens to defective matrices
            k, high, low = 2**m, 1 + relative, 1 - relative
            above = math.exp(bound.log(k) / k)
            text = f"||W^k||^(1/k) = {root:.8g} for k = {k}"
            require(root * high ** (1 / k) >= example.radius * (1 - 1e-12), f"{text}, the radius is {example.radius}")
            require(root * low ** (1 / k) <= above * (1 + 1e-12), f"{text}, the bound is {above:.8g}")
    # An eigenvalue of a defective W moves by the n-th root of an error (Elsner).
    tolerance = 2 * max(1.0, norms[1]) * (100 * n * EPSILON) ** (1 / n if example.kind == "defective" else 0.5)
    agree(spectral_radius(W), example.radius, "the spectral radius", tolerance)
    far = math.exp(bound.log(10**7) / 10**7)
    require(abs(far - bound.radius) < 1e-4, f"the bound's root for k = 10^7 is {far:.8g}, not near the radius")


def departure(W: list[list[float]]) -> None:
    """For [[1/2, 3, 0], [0, 1/2, 4], [0, 0, 1/2]], which is its own Schur form, ||N|| = 4; its Frobenius norm is 5."""
    bound = schur_bound(W)
    agree([bound.radius, bound.departure, bound.at(1)], [0.5, 4.0, 4.5], "the radius, ||N|| and the bound of ||W||")


def radius_0(n: int) -> None:
    """Of a Jordan block of size n with eigenvalue 0, J^k and its bound have norm 1 for k < n and are 0 from n on."""
    J = jordan_block(0, n)
    bound = schur_bound(J)
    for k in range(n + 2):
        norm = spectral_norm(np.linalg.matrix_power(J, k))
        agree([norm, bound.at(k)], [float(k < n)] * 2, f"||J^{k}|| and its bound")


def spoilt_schur_is_refused(example: Drawn) -> None:
    """Reject Schur forms with an entry below the diagonal, a U that is not unitary, or a different T or W."""
    W, n = example.matrix, example.size
    U, T = schur_form(W)
    corner = np.zeros((n, n))
    corner[-1, 0] = 1e-6
    spoilt = {
        "a U that is not unitary": (W, U * (1 + 1e-6), T / (1 + 1e-6) ** 2), "another T": (W, U, T + np.eye(n) * 1e-6),
        "another W": (W + corner, U, T), "a T of zeros": (W, U, 0 * T),
    }  # fmt: skip
    if n > 1:  # U (T + corner) U* is what this T gives, so only its shape is wrong
        spoilt["a T that is not triangular"] = np.asarray(U @ (T + corner) @ U.conj().T), U, T + corner
    for name, form in spoilt.items():
        require(not accepts(check_schur, *form), f"Schur's form is accepted with {name}")


def transient_growth(example: Drawn) -> None:
    """sup_k ||W^k|| is at least every value of (|z| - 1) ||(z I - W)^-1||, |z| > 1."""
    W = example.matrix
    largest = power_norms(W, schur_bound(W).steps_below(1.0)).max()  # from there on all are below 1 = ||W^0||
    lower = kreiss_lower_bound(W)
    require(lower <= largest * (1 + 1e-9), f"the largest norm is {largest:.8g}, the lower bound {lower:.8g}")
    # As z goes to infinity the bound tends to ||W^0|| = 1; the grid goes to |z| = 1000.
    require(lower >= 1 - 2 * spectral_norm(W) / 1000 - 2e-3, f"the lower bound is {lower:.8g}, below 1 = ||W^0||")


def spoilt_kind_is_refused(example: Drawn) -> None:
    """Reject another radius, and a W that one entry takes out of its kind; two literal matrices, whatever the kind."""
    W, kind, radius = example.matrix, example.kind, example.radius
    certify_kind(W, kind, radius)
    certify_kind(np.array([[radius, -1], [0, radius]]), "defective", radius)
    shrinks = np.diag([radius, radius / 2])  # W W' <= radius^2 I
    require(not accepts(certify_kind, shrinks, "orthogonal", radius), "diag(radius, radius / 2) is called orthogonal")
    for factor in (0.5, 1.5):
        require(not accepts(certify_kind, W, kind, factor * radius), f"the radius {factor * radius} is accepted")
    for sign in (1, -1):
        spoilt = W.copy()
        spoilt[-1, 0] += sign * 1e-3
        only = kind in ("symmetric", "orthogonal", "defective") and len(W) > 1
        require(not only or not accepts(certify_kind, spoilt, kind, radius), f"a W that is not {kind} is accepted")


def hump(example: tuple[float, float]) -> None:
    """[[r, c], [0, r]] with |r| < 1 and c >= 0 has a power of norm c / (4 (1 - |r|)) or more, and then vanishes."""
    c, r = example
    W = np.array([[r, c], [0.0, r]])
    promised = c / (4 * (1 - abs(r)))  # by |z| = 2 - |r|; the grid has |z| - 1 within a factor of 1.2 of 1 - |r|
    lower = kreiss_lower_bound(W)
    require(lower >= 0.99 * promised, f"the lower bound is {lower:.8g}, promised {promised:.8g}")
    bound = schur_bound(W)
    for k in (1, 2, 10):  # W^k = [[r^k, k r^(k-1) c], [0, r^k]]
        agree(bound.at(k), abs(r) ** k + k * abs(r) ** (k - 1) * c, f"the bound from Schur's form for k = {k}")
    steps = bound.steps_below(1e-3)
    norms = power_norms(W, steps)
    require(norms.max() >= promised * (1 - 1e-9), f"the largest norm is {norms.max():.8g}, promised {promised:.8g}")
    require(norms[-1] < 1e-3 + EPSILON, f"after {steps} steps the norm is {norms[-1]:.8g}")
    steps = bound.steps_below(2.0)  # the bound begins at 1, below 2, and may rise above 2 before it falls
    below = all(bound.log(k) < math.log(2.0) for k in range(steps, steps + 100))
    require(below, f"the bound exceeds 2 after more than {steps} steps")


def never_vanishes(example: Drawn) -> None:
    """With radius 1, ||W^k|| >= 1; an orthogonal W has ||W^k|| = 1."""
    norms = power_norms(example.matrix, 48)
    error = rounding(example.matrix, norms)
    k = int(np.argmin(norms + error))
    require((norms + error).min() >= 1, f"||W^{k}|| = {norms[k]:.8g}")
    if example.kind == "orthogonal":
        require((norms - error).max() <= 1, f"W is orthogonal, yet a norm is {norms.max():.8g}")


def grows_polynomially(example: tuple[int, int, int]) -> None:
    """A Jordan block's power is binomials; for k >= 2n their largest, binom(k, n-1), is the norm up to a factor n."""
    eigenvalue, n, k = example
    block = jordan_block(eigenvalue, n).astype(object)
    power = np.eye(n, dtype=int).astype(object)
    for _ in range(k):
        power = power @ block
    closed = jordan_power(eigenvalue, n, k)
    require(np.array_equal(power, closed), f"the closed form of the power is {closed.tolist()}, not {power.tolist()}")
    agree(power_jacobian(block, k), power.T.astype(float), "dh_k/dh_0")
    largest, norm = math.comb(k, n - 1), spectral_norm(power.astype(float))
    if k >= 2 * n:
        between = largest * (1 - 1e-12) <= norm <= n * largest * (1 + 1e-12)
        require(between, f"the norm is {norm:.8g}, the largest binomial {largest}")


# Networks ---------------------------------------------------------------------------------------


def tanh_network(example: Network) -> None:
    """dh_t/dh_0 is the product of diag(1 - h^2) Wh', whose norm is at most prod sigma_max(Wh) max(1 - h^2)."""
    arrays = example.arrays(1)
    del arrays["c0"]
    jacobians, states, Wh = rnn_jacobians(**arrays), rnn_states(**arrays), arrays["Wh"]
    agree(jacobians, rnn_jacobians(**arrays, stepwise=True), "the Jacobians step by step")
    bounds = rnn_bounds(states, Wh)
    product = np.eye(example.H)
    for t, h in enumerate(states):
        product = np.diag(1 - h**2) @ Wh.T @ product
        agree(jacobians[t], product, f"dh_{t + 1}/dh_0")
        norm, bound = spectral_norm(jacobians[t]), bounds[t]
        text = f"the norm of dh_{t + 1}/dh_0 is {norm:.6g}, the bound {bound:.6g}"
        require(norm <= bound * (1 + 1e-9) + EPSILON, text)
        if example.H == 1:  # then nothing is lost, and the bound is the norm
            require(norm >= bound * (1 - 1e-9) - EPSILON, f"one unit: {text}")
    require(bounds[-1] <= spectral_norm(Wh) ** example.T * (1 + 1e-9), "the bound exceeds sigma_max(Wh)^k")


def cell_path(example: Network) -> None:
    """Without recurrent weights dc_t/dc_0 = diag(f_1 … f_t), whose t-th root is the gates' geometric mean."""
    arrays = example.arrays(4)
    H = example.H
    arrays["Wh"] *= 0.0
    arrays["b"][H : 2 * H] += example.bias
    jacobians = cell_jacobians(**arrays)
    agree(jacobians, cell_jacobians(**arrays, stepwise=True), "the Jacobians step by step")
    gates = forget_gates(arrays["x"], arrays["Wx"], arrays["b"])
    for t in range(example.T):
        agree(jacobians[t], np.diag(gates[: t + 1].prod(axis=0)), f"dc_{t + 1}/dc_0", 1e-12)
    mean = float(np.exp(np.log(gates).mean(axis=0)).max())
    rate = spectral_norm(jacobians[-1]) ** (1 / example.T)
    require(abs(rate - mean) <= 1e-9, f"the rate is {rate:.8g}, the gates' geometric mean {mean:.8g}")


def cell_rate(bias: int) -> None:
    """Without input, too, each step multiplies dc_k/dc_0 by sigmoid(bias) = (1 + tanh(bias / 2)) / 2."""
    steps, zeros = 40, np.zeros((1, 4))
    b = np.array([0.0, float(bias), 0.0, 0.0])
    jacobians = cell_jacobians(np.zeros((steps, 1)), [0.5], [0.5], zeros, zeros, b).ravel()
    rate = (1 + math.tanh(bias / 2)) / 2
    for k in (1, 10, steps):
        found = jacobians[k - 1] ** (1 / k)
        require(abs(found - rate) <= 1e-12, f"the rate over {k} steps is {found:.8g}, sigmoid({bias}) is {rate:.8g}")
