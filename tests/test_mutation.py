"""The mutation tool: the mistakes that it makes, and the score that it prints."""

from __future__ import annotations

import ast

import pytest

from tests.mutation import __main__ as tool
from tests.mutation.mutants import mutants

EXAMPLE = """
def example(g, needs, x: np.ndarray, a=1):
    if x is None:
        raise ValueError("as it is" + "here")
    y = np.multiply(g, x.T, out=None) * 0.5
    y += a - x[:1]
    for t in reversed(range(2)):
        y[t] = 0
    return -y / 2 if needs[0] else None, np.where(x > 0, y, 0)
"""
EXPECTED = {
    ("if x is None:", "if x is not None:"), ("if x is None:", "if True:"),
    ("y = np.multiply(g, x.T, out=None) * 0.5", "y = np.multiply(g, x, out=None) * 0.5"),
    ("y = np.multiply(g, x.T, out=None) * 0.5", "y = np.multiply(g, x.T, out=None)"),
    ("y = np.multiply(g, x.T, out=None) * 0.5", "y = -(np.multiply(g, x.T, out=None) * 0.5)"),
    ("y += a - x[:1]", "pass"), ("y += a - x[:1]", "y = a - x[:1]"), ("y += a - x[:1]", "y += x[:1] - a"),
    ("for t in reversed(range(2)):", "for t in range(2):"), ("y[t] = 0", "y[t] = 1"),
    ("return (-y / 2 if needs[0] else None, np.where(x > 0, y, 0))",
     "return (y / 2 if needs[0] else None, np.where(x > 0, y, 0))"),
    ("return (-y / 2 if needs[0] else None, np.where(x > 0, y, 0))",
     "return (-y / 2 if needs[0] else None, np.where(x >= 0, y, 0))"),
}  # fmt: skip


def test_mutants_are_small_mistakes_in_one_place():
    found = list(mutants(EXAMPLE))
    assert {(m.before, m.after) for m in found} >= EXPECTED
    plain = ast.unparse(ast.parse(EXAMPLE)).splitlines()
    for mutant in found:
        changed = [line for line in mutant.source.splitlines() if line not in plain]
        assert len(changed) <= 1
        assert "as it is" in mutant.source
        assert EXAMPLE.splitlines()[mutant.line - 1].split()[0] == mutant.before.split()[0]


def test_rules_in_lambdas_are_mutated():
    found = {m.after for m in mutants("tanh.vjp(lambda g, needs, y: (g * (1 - y * y),))")}
    assert "lambda g, needs, y: (g * (1 + y * y),)" in found


@pytest.mark.slow
def test_the_score_of_a_file(tmp_path, monkeypatch, capsys, full):
    if not full:
        return
    monkeypatch.chdir(tool.ROOT)
    (tmp_path / "test_square.py").write_text(
        "import minigrad as mg\n\ndef test():\n    assert mg.grad(mg.square)(3.0).item() == 6\n"
    )
    tool.main(["minigrad/ops/elementwise.py", "--sample", "20", "--tests", str(tmp_path / "test_square.py")])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("minigrad/ops/elementwise.py: ")
    assert " of 20 noticed, " in last


def test_unknown_files_are_refused(capsys):
    with pytest.raises(SystemExit):
        tool.main(["minigrad/none.py"])
    assert "no such file: minigrad/none.py" in capsys.readouterr().err
