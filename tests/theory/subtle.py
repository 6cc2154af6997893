"""Subtle errors in theory/ that `theory check` itself must notice, without the tests.

An error is a few edits of the source that leave it running. Most make a certificate unsound: they prove what is false,
check something irrelevant, or make a domain in which nothing can go wrong.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Subtle:
    """An error: what it does, the claims that meet it, and edits (module, old, new) of texts that stand once."""

    name: str
    numbers: tuple[str, ...]
    edits: tuple[tuple[str, str, str], ...]

    def __str__(self) -> str:
        return self.name


def _one(name: str, number: str, module: str, old: str, new: str) -> Subtle:
    return Subtle(name, (number,), ((module, old, new),))


_LOWER = ("parity.bounds", "r = map_bounds(gain, before, bits)[1]", "r = map_bounds(gain, before, bits)[0]")
_ACCEPTS_EIGENVECTORS = ("checker", "any(x != 0 for (x,) in once)", "len(once) > 0")
_NO_DISTINCTNESS = ("checker", "len(set(cycle)) == len(cycle)", "len(set(cycle)) > 0")

SUBTLE = (
    # proofs about the gain
    Subtle("failure is proven by lower bounds", ("3-1-alt",), (_LOWER,)),
    Subtle("failure is proven by lower bounds, with 16 bits", ("3-1-alt",),
           (_LOWER, ("parity.bounds", "BITS = 96", "BITS = 16"))),
    _one("a parity is said to be lost at 0.65", "3-1-alt", "parity.bounds",
         "if r <= Fraction(1, 2):", "if r <= Fraction(13, 20):"),
    _one("the last term of exp is not added", "3-1-alt", "parity.bounds",
         "return total + term if up else total", "return total"),
    _one("terms are rounded down for the upper bound", "3-1-alt", "parity.bounds",
         "-(-term * p // (n << bits)) if up", "term * p // (n << bits) if up"),
    _one("f is rounded down for the upper bound", "3-1-alt", "parity.bounds",
         "-_down((and_low - or_high) / 2, bits)", "_down((or_high - and_low) / 2, bits)"),
    _one("the bounds of tanh below 0 are exchanged", "3-1-alt", "parity.bounds",
         "return -high, -low", "return -low, -high"),
    _one("intervals need not add up to 1", "3-1-alt", "parity.bounds", "b <= 1 and a + b == 1)", "b <= 1)"),
    Subtle("intervals are proven by upper bounds", ("3-1-alt",), (
        ("parity.bounds", "map_bounds(g, 1 + a, bits)[0] >= b", "map_bounds(g, 1 + a, bits)[1] >= b"),
        ("parity.bounds", "map_bounds(g, b, bits)[0] >= b", "map_bounds(g, b, bits)[1] >= b"),
    )),
    Subtle("images at parity 1 are not compared", ("3-1-alt",), (
        ("parity.bounds", "map_bounds(g, 1 + a, bits)[0] >= b", "map_bounds(g, 1 + a, bits)[0] > 0"),
        ("parity.bounds", "map_bounds(g, b, bits)[0] >= b", "map_bounds(g, b, bits)[0] > 0"),
    )),
    _one("intervals are given below the critical gain", "3-1-alt", "parity.gain", "if gap <= 0:", "if gap <= -1:"),
    _one("a failure is found a step early", "3-1-alt", "parity.gain",
         "return int(wrong[0]) + 1 if", "return int(wrong[0]) if"),
    _one("the check of a failure accepts any end", "3-1-alt", "checker",
         "bounds[-1] <= Fraction(1, 2)", "bounds[-1] <= Fraction(1)"),
    _one("the check of a failure begins at the second step", "3-1-alt", "checker",
         "require(high <= state,", "require(t == 1 or high <= state,"),
    _one("the check of intervals forgets that a + b = 1", "3-1-alt", "checker",
         "g > 0 and low + high == 1 and", "g > 0 and"),
    _one("the check of intervals forgets what leads to parity 1", "3-1-alt", "checker",
         "(0, 1, low), (1, 0, high), (1, 1, high)):", "(1, 1, high)):"),
    # one unit
    _one("negative multipliers are accepted", "3-1-alt", "parity.one_unit",
         "any(m < 0 for m in multipliers)", "all(m < 0 for m in multipliers)"),
    _one("a coefficient need not cancel", "3-1-alt", "parity.one_unit",
         "return not any(sums)", "return not any(sums[1:])"),
    _one("no strict inequality need take part", "3-1-alt", "parity.one_unit",
         "any(m > 0 and q.strict for", "any(q.strict for"),
    _one("the check accepts 0 <= 0", "3-1-alt", "checker", "strict is True and rational(m) > 0", "rational(m) > 0"),
    _one("functions that rise and fall", "3-1-alt", "parity.domains",
         "functions: list[Function] = [piecewise_linear(knots, values), np.tanh",
         "functions: list[Function] = [np.sin, np.tanh"),
    # all sequences
    _one("half of all sequences, twice", "3-1", "parity.units",
         "np.arange(2**length)[:, None] >> np", "np.arange(2**length)[:, None] // 2 >> np"),
    _one("the longest sequences are left out", "3-1", "parity.domains",
         "enumerated(range(1, LONGEST + 1), LONGEST)", "enumerated(range(1, LONGEST), LONGEST)"),
    _one("random sequences are zeros", "3-1", "parity.checks",
         ".random(shape) < density)", ".random(shape) < 0 * density)"),
    _one("the weights are not those that are said", "3-1-alt", "parity.units",
         "np.array([-0.5, -1.5])", "np.array([-0.25, -1.25])"),
    # no eigendecomposition
    Subtle("an eigenvector is taken for a proof", ("3-2",), (_ACCEPTS_EIGENVECTORS,)),
    Subtle("a diagonal matrix is called defective", ("3-2",),
           (_ACCEPTS_EIGENVECTORS,
            ("eigenvalues.defective", "next((v for v in kernel(A @ A) if (A @ v).any()), None)",
             "next(iter(kernel(A @ A)), None)"))),
    _one("Jordan forms are diagonal", "3-2", "eigenvalues.domains", "J[i - 1, i] = 1", "J[i - 1, i] = 0"),
    _one("defective matrices are multiples of 1", "3-2", "eigenvalues.domains",
         "T = jordan_block(r, n)", "T = r * np.eye(n)"),
    _one("Jordan blocks have no ones", "3-2", "eigenvalues.powers",
         "np.eye(size, k=1, dtype=int)", "np.eye(size, k=size, dtype=int)"),
    _one("no defective matrices are drawn", "3-2", "eigenvalues.domains",
         "for kind in kinds if size > 1 or kind", 'for kind in kinds if kind != "defective" if size > 1 or kind'),
    _one("no matrices of 4 rows are drawn", "3-2", "eigenvalues.domains", "SIZES = (1, 2, 3, 4)", "SIZES = (1, 2, 3)"),
    _one("non-normal matrices are normal", "3-2", "eigenvalues.domains",
         "np.triu(rng.uniform(-3, 3, (n, n)), 1)", "np.triu(np.zeros((n, n)), 1)"),
    _one("ranks find every matrix defective", "3-2", "eigenvalues.certificates",
         "require(missing_dimensions(W, eigenvalue) > 0, has_all)",
         "require(missing_dimensions(W, eigenvalue) >= 0, has_all)"),
    _one("an eigenvalue is a root once at most", "3-2", "eigenvalues.certificates",
         "polynomial, times = quotient, times + 1", "polynomial, times = quotient, 1"),
    # Schur's form, tolerances, networks
    _one("U need not be unitary", "3-2", "eigenvalues.schur",
         "if not spectral_norm(U @ U.conj().T - np.eye(n)) <= tolerance * n:", "if n < 0:"),
    _one("T need not be triangular", "3-2", "eigenvalues.schur", "if np.tril(T, -1).any():", "if n < 0:"),
    _one("Schur's form may be off by a thousandth", "3-2", "eigenvalues.schur",
         "tolerance: float = 1e-13", "tolerance: float = 1e-3"),
    _one("rounding forgives everything", "3-2", "eigenvalues.checks",
         "100 * len(W) * EPSILON * max(", "100 * len(W) * max("),
    _one("networks have no recurrent weights", "3-2", "eigenvalues.domains",
         "self.scale / np.sqrt(H)", "0.0 / np.sqrt(H)"),
    _one("one forget bias of three is left out", "3-2", "eigenvalues.domains",
         "enumerated((0, 1, 5), 3)", "enumerated((0, 1), 3)"),
    # orders and cycles
    Subtle("a cycle may have a vertex twice", ("2-1",), (_NO_DISTINCTNESS,)),
    Subtle("cycles go round twice, and may", ("2-1",),
           (_NO_DISTINCTNESS, ("ordering.proofs", "Cycle(tuple(reversed(walk)))", "Cycle(tuple(reversed(walk)) * 2)"))),
    _one("the last edge of a cycle is not looked at", "2-1", "checker",
         "if vertex not in parents or before not in parents[vertex]:",
         "if vertex not in parents or (before != cycle[-1] and before not in parents[vertex]):"),
    _one("an empty cycle is one", "2-1", "checker",
         'require(len(cycle) > 0, "the cycle is empty")\n', "if not cycle:\n        return\n"),
    _one("an order may have a vertex twice", "2-1", "checker",
         "require(len(order) == len(position),", "require(len(order) >= len(position),"),
    _one("an order may have foreign vertices", "2-1", "checker",
         "position.keys() == parents.keys()", "position.keys() >= parents.keys()"),
    _one("an order may leave vertices out", "2-1", "checker",
         "position.keys() == parents.keys()", "position.keys() <= parents.keys()"),
    _one("a loop goes forward", "2-1", "checker",
         "position[parent] >= position[vertex]", "position[parent] > position[vertex]"),
    # graphs
    _one("drawn graphs have no edges", "2-1", "ordering.domains", "max_size=3 * n", "max_size=0"),
    _one("drawn DAGs have no edges", "2-1", "ordering.domains",
         "for i, j in pairs]), Order", "for i, j in pairs[:0]]), Order"),
    _one("drawn graphs have 3 vertices", "2-2", "ordering.domains",
         "def disputed(draw: st.DrawFn, most: int = 8)", "def disputed(draw: st.DrawFn, most: int = 3)"),
    _one("all small graphs are without edges", "2-2", "ordering.graphs",
         "for mask in range(2**n)]", "for mask in range(1)]"),
    _one("every small graph is the first", "2-2", "ordering.graphs",
         "return (dict(enumerate(several)) for several in product(*choices))",
         "return ({v: () for v in range(n)} for several in product(*choices))"),
    _one("large graphs have no edges", "2-1", "ordering.domains",
         "(edges_per_vertex * n, 2)", "(0 * edges_per_vertex * n, 2)"),
    _one("large graphs are small", "2-1", "ordering.domains",
         "yield planted_graph(LARGE, (LARGE, 2, 1)[seed % 3]", "yield planted_graph(100, (100, 2, 1)[seed % 3]"),
    _one("planted cycles have a vertex twice", "2-1", "ordering.domains",
         "random.permutation(n)[:cycle_length]", "np.sort(random.permutation(n)[:cycle_length] // 2)"),
    _one("programs have no operations", "2-1", "ordering.domains",
         'OPERATIONS = "leaf", "tanh", "add", "multiply", "split"', 'OPERATIONS = ("leaf",)'),
    # convolutions and permutations
    _one("all pictures and weights are 0", "1-1", "convolution.domains", ".astype(float)", ".astype(float) * 0"),
    _one("all strides are 1", "1-1", "convolution.domains",
         "draw(_pairs(1, 3)), draw(_pairs(1, 4))", "draw(_pairs(1, 3)), draw(_pairs(1, 1))"),
    _one("there is one group", "1-1", "convolution.domains",
         "draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2))\n    extents",
         "1, draw(st.integers(1, 2)), draw(st.integers(1, 2))\n    extents"),
    _one("there is no output padding", "1-2", "convolution.domains", "draw(st.integers(0, s - 1)) for s", "0 for s"),
    _one("kernels are not dilated", "1-2", "convolution.domains",
         "dilation = draw(_pairs(1, 2))", "dilation = draw(_pairs(1, 1))"),
    _one("the ones of columns are not counted", "1-3", "convolution.certificates",
         '("column", m.sum(axis=0))', '("column", m.sum(axis=1))'),
    _one("the ones of rows are not counted", "1-3", "convolution.certificates",
         '("row", m.sum(axis=1))', '("row", m.sum(axis=0))'),
    _one("a permutation matrix may have halves", "1-3", "convolution.certificates",
         "np.isin(m, (0, 1))", "np.isin(m, (0, 0.5, 1))"),
    _one("small pictures are left out", "1-3", "convolution.domains",
         "sides = range(1, 5 if", "sides = range(1, 3 if max_examples < 500 else 5 if"),
    _one("a permutation matrix may have a -1", "1-3", "convolution.certificates",
         "np.isin(m, (0, 1))", "np.isin(m, (-1, 0, 1))"),
    _one("a product has the dtype of x", "1-1", "convolution.matrices", "np.result_type(values, x)", "x.dtype"),
    # what only the tests, or nothing, noticed
    _one("the upper bound of f is over the upper bottom", "3-1-alt", "checker",
         "(1 - square[0]) / bottom[0]", "(1 - square[0]) / bottom[1]"),
    _one("the lower bound of f is over the lower bottom", "3-1-alt", "checker",
         "(1 - square[1]) / bottom[1]", "(1 - square[1]) / bottom[0]"),
    _one("exp is not rounded down", "3-1-alt", "checker", "below, above = total,", "below, above = total + 64,"),
    _one("exp is not rounded up", "3-1-alt", "checker", "= total, total + 64", "= total, total"),
    _one("the bounds of exp below 0 are exchanged", "3-1-alt", "checker", "1 / high, 1 / low", "1 / low, 1 / high"),
    _one("exp below 0 is not rounded up", "3-1-alt", "checker", "1 / high, 1 / low", "1 / high, 1 / high"),
    _one("the bounds of the top are exchanged", "3-1-alt", "checker",
         "(1 - square[1]) / bottom[1], (1 - square[0])", "(1 - square[0]) / bottom[1], (1 - square[1])"),
    _one("the series of exp has 20 terms", "3-1-alt", "checker", "range(1, 31)", "range(1, 21)"),
    _one("only some states must err", "3-1-alt", "parity.checks",
         "(worst.odd <= 0.5)).any())", "(worst.odd <= 0.5)).all())"),
    _one("a parity is wrong if all of it is", "3-1-alt", "parity.checks", "if wrong.any():", "if wrong.all():"),
    _one("the weights fail if no step is right", "3-1-alt", "parity.checks",
         "(y != parity(bits)).any()", "(y != parity(bits)).all()"),
    _one("long sequences are a tenth as long", "3-1", "parity.checks", "(4, length))\n", "(4, length // 10))\n"),
    _one("all long sequences are a tenth as long", "3-1", "parity.domains", "LONG = 100_000", "LONG = 10_000"),
    _one("runs at large gains are a tenth as long", "3-1-alt", "parity.domains", "RUN = 1_000", "RUN = 100"),
    _one("random sequences are a tenth as long as the failure", "3-1-alt", "parity.checks",
         "(100, length or 1)", "(100, (length or 1) // 10)"),
    _one("a row is compared with itself, too", "3-1-alt", "parity.training",
         "for other, trained in results.items() if other is not setting for t",
         "for trained in results.values() for t"),
    _one("a row is compared with itself", "3-1-alt", "parity.training",
         "if other is not setting", "if other is setting"),
    _one("walks are counted in 8 bits", "2-1", "ordering.certificates", "dtype=bool)", "dtype=np.int8)"),
    _one("walks are counted in 64 bits", "2-1", "ordering.certificates", "dtype=bool)", "dtype=np.int64)"),
    _one("N has the Frobenius norm", "3-2", "eigenvalues.schur",
         "spectral_norm(np.triu(T, 1))", "float(np.linalg.norm(np.triu(T, 1)))"),
    _one("the condition number enters four times", "3-2", "eigenvalues.checks",
         "float(np.linalg.cond(P)) ** 2", "float(np.linalg.cond(P)) ** 4"),
    _one("the eigenvalue 2 is not tried", "3-2", "eigenvalues.checks", "range(-2, 3)):", "range(-2, 2)):"),
    _one("no negative eigenvalues in integers", "3-2", "eigenvalues.domains",
         "st.tuples(st.integers(-2, 2), st.integers(1, largest))",
         "st.tuples(st.integers(0, 2), st.integers(1, largest))"),
    _one("no negative eigenvalues in floats", "3-2", "eigenvalues.domains",
         "rng.uniform(-r, r, n - 1)", "rng.uniform(0, r, n - 1)"),
    _one("a radius may be too large", "3-2", "eigenvalues.certificates",
         "abs(found - radius) <= 1e-6", "found - radius <= 1e-6"),
    _one("the radius is the largest eigenvalue", "3-2", "eigenvalues.certificates",
         "np.abs(np.linalg.eigvals(W)).max()", "np.linalg.eigvals(W).real.max()"),
    _one("W W' may be below the square of the radius", "3-2", "eigenvalues.certificates",
         "np.abs(W @ W.T - radius**2 * np.eye(n)).max()", "(W @ W.T - radius**2 * np.eye(n)).max()"),
    _one("a power of W - radius I may be negative", "3-2", "eigenvalues.certificates",
         "n > 1 and np.abs(power).max() <= TOLERANCE", "n > 1 and power.max() <= TOLERANCE"),
    _one("a power of W - radius I must be positive", "3-2", "eigenvalues.certificates",
         "require(np.abs(power).max() > TOLERANCE, vanishes)", "require(power.max() > TOLERANCE, vanishes)"),
    # the machinery
    _one("what is nearly equal agrees", "2-2", "refutation", "tolerance * scale", "1e6 * tolerance * scale"),
    _one("NumPy's False is accepted", "2-2", "refutation", "    if not condition:\n", "    if condition is False:\n"),
    _one("a broken checker is as expected", "2-2", "propositions",
         "return self.verdict == REFUTED if self.proposition", "return not self.survived if self.proposition"),
    _one("a verdict forgets its propositions", "2-2", "claims",
         "return all(result.as_expected", "return any(result.as_expected"),
    _one("a part has the best verdict of its propositions", "2-2", "claims",
         "min(verdicts, key=WORST_FIRST.index)", "max(verdicts, key=WORST_FIRST.index)"),
    _one("what a checker returns is not looked at", "2-2", "propositions",
         "if returned is not None:", "if returned is NotImplemented:"),
    _one("promises are not kept", "2-2", "propositions", "short = self._short()", 'short = self._short() and ""'),
    _one("everything that is true in Python is accepted", "2-2", "refutation",
         "if not isinstance(condition, (bool, np.bool_)):", "if condition is None:"),
    _one("NaN agrees with NaN", "2-2", "refutation", "equal_nan & np.isnan(a)", "np.isnan(a)"),
    _one("arrays of other shapes are compared", "2-2", "refutation", "if a.shape != b.shape:", "if a.size < b.size:"),
    _one("counterexamples are not replayed", "2-2", "propositions",
         "not all(self._rejects(example) for _ in range(REPLAYS))", "not self._rejects"),
    _one("a premise may be met by no example", "2-2", "propositions",
         "if not any(self.met.values()):", "if not self.met:"),
    _one("examples may be changed", "2-2", "propositions",
         "if _content(example) != content:\n            raise", "if not content:\n            raise"),
    _one("a sample counts as all cases", "2-2", "propositions",
         "HOLDS if self.domain.exhaustive", "HOLDS if self.tried"),
    _one("features are not drawn", "2-2", "domains",
         "self.source.filter(self.reaches[feature]), check, 1, seed)",
         "self.source.filter(self.reaches[feature]), check, 1, seed) if seed else None"),
)  # fmt: skip


def edited(error: Subtle) -> dict[str, str]:
    """Return the edited sources by their path in the checkout; a text that does not stand there once is an error."""
    sources: dict[str, str] = {}
    for module, old, new in error.edits:
        path = f"theory/{module.replace('.', '/')}.py"
        source = sources.get(path) or (ROOT / path).read_text(encoding="utf-8")
        assert source.count(old) == 1, f"{error}: in {module} {old!r} stands {source.count(old)} times"
        sources[path] = source.replace(old, new)
    return sources


def noticed(error: Subtle, folder: Path, examples: int = 100) -> bool:
    """Whether `theory check` on a copy of theory/ with the error ends with another status than 0."""
    shutil.copytree(ROOT / "theory", folder / "theory", ignore=shutil.ignore_patterns("__pycache__"))
    for path, source in edited(error).items():
        (folder / path).write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "theory", "check", *error.numbers, "--quiet", "--examples", str(examples)]
    path = os.pathsep.join([str(folder), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    for cannot in ("ImportError", "SyntaxError", "NameError"):
        assert cannot not in done.stderr, f"{error} cannot run: {done.stderr}"
    return done.returncode != 0
