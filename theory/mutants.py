"""Errors in propositions, verdicts and domains, which the self-test must notice; see `theory.mutation`."""

from __future__ import annotations

from theory.mutation import Mutant

__all__ = ["MUTANTS"]

MUTANTS = (
    Mutant("2-2", "refutation.py", "tolerance * scale", "1e6 * tolerance * scale", "arrays that are nearly equal agree",
           'agree([1.00001], [1.0], "")'),
    Mutant("2-2", "refutation.py", "    if not condition:\n", "    if condition is False:\n",
           "NumPy's False is accepted", 'require(np.bool_(False), "")'),
    Mutant("2-2", "propositions.py", "return self.verdict == REFUTED if self.proposition",
           "return not self.survived if self.proposition", "a broken checker is as expected",
           'Result(Proposition("", "", print, [], false=True), BROKEN, 0, 0).as_expected'),
    Mutant("2-2", "claims.py", "return all(result.as_expected", "return any(result.as_expected",
           "a verdict forgets its propositions",
           'Verdict(None, tuple(Result(Proposition("", "", print, []), v, 1, 1) for v in (HOLDS, '
           'REFUTED))).as_expected'),
    Mutant("2-2", "claims.py", "min(verdicts, key=WORST_FIRST.index)", "max(verdicts, key=WORST_FIRST.index)",
           "a part has the best verdict of its propositions",
           'Verdict(None, tuple(Result(Proposition("", "", print, []), v, 1, 1) for v in (HOLDS, REFUTED))).outcome'),
    Mutant("2-2", "propositions.py", "if returned is not None:", "if returned is NotImplemented:",
           "the value that a checker returns is ignored",
           'Proposition("", "", lambda n: True, [1]).examine(1, 0).message[:30]'),
    Mutant("2-2", "propositions.py", "short = self._short()", 'short = self._short() and ""',
           "broken promises are not reported", 'Proposition("", "", print, []).examine(1, 0).verdict'),
    Mutant("2-2", "refutation.py", "if not isinstance(condition, (bool, np.bool_)):", "if condition is None:",
           "require accepts everything that is true in Python", 'require(1, "")'),
    Mutant("2-2", "refutation.py", "equal_nan & np.isnan(a)", "np.isnan(a)", "NaN agrees with NaN",
           'agree([np.nan], [np.nan], "")'),
    Mutant("2-2", "refutation.py", "if a.shape != b.shape:", "if a.size < b.size:",
           "arrays of other shapes are compared", 'agree([[1.0]], [1.0], "")'),
    Mutant("2-2", "propositions.py", "not all(self._rejects(example) for _ in range(REPLAYS))", "not self._rejects",
           "counterexamples are not replayed",
           'Proposition("", "", lambda n, left=[1]: __import__("theory").require(not (left and left.pop()), ""), '
           '[1]).examine(1, 0).verdict'),
    Mutant("2-2", "propositions.py", "if not any(self.met.values()):", "if not self.met:",
           "a premise may be met by no example", 'Proposition("", "", lambda n: None, [1]).examine(1, 0).verdict'),
    Mutant("2-2", "propositions.py", "if _content(example) != content:\n            raise",
           "if not content:\n            raise", "the change of an example is ignored",
           'Proposition("", "", list.sort, [[2, 1]]).examine(1, 0).message[:11]'),
    Mutant("2-2", "propositions.py", "HOLDS if self.domain.exhaustive", "HOLDS if self.tried",
           "a sample counts as all cases",
           'Proposition("", "", lambda n: __import__("theory").require(True, ""), [1]).examine(1, 0).verdict'),
    Mutant("2-2", "domains.py", "self.source.filter(self.reaches[feature]), check, 1, seed)",
           "self.source.filter(self.reaches[feature]), check, 1, seed) if seed else None",
           "an example with a missing feature is not drawn",
           '(lambda found: sampled(st.just(4), {"a 4": bool}).fill(found.append, "a 4", 0) or found)([])'),
)  # fmt: skip
"""Planted errors. The self-test runs before every check, so the claim is the one that takes least time."""
