"""Certificates in files: the checker accepts what was written and rejects any change, also without the package."""

from __future__ import annotations

import ast
import copy
import dataclasses
import json
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from theory import CLAIMS, checker
from theory.certificates import certificate, write_certificates
from theory.checker import KINDS, canonical, check_file, digest
from theory.cli import main
from theory.parity.bounds import failure
from theory.parity.gain import intervals

GRAPH = {"a": [], "b": ["a"], "c": ["a", "b"]}
THIRD = Fraction(1, 3)
SMALL = {
    "order": {"parents": GRAPH, "order": ["a", "b", "c"]},
    "cycle": {"parents": {**GRAPH, "a": ["c"]}, "cycle": ["a", "b", "c"]},
    "permutation": {"left": [["v", 0], [0, "w"]], "right": [[0, "w"], ["v", 0]], "columns": [1, 0]},
    "defective": {"matrix": [[2, 1], [-1, 4]], "eigenvalue": 3, "vector": [0, 1]},
    "jordan_form": {"matrix": [[1, THIRD], [0, 2]], "vectors": [[1, THIRD], [0, 1]], "inverse": [[1, -THIRD], [0, 1]],
                    "blocks": [[1, 1], [2, 1]]},
    "contradiction": {"system": [[[1, THIRD], True], [[-2, -2 * THIRD], False]], "multipliers": [2, 1]},
    "vector_bound": {"matrix": [[0, THIRD], [THIRD, 0]], "vector": [1, 2], "rate": Fraction(2, 3)},
    "positive_definite": {"matrix": [[2, THIRD], [THIRD, 1]]},
    "contraction": {"P": [[2, 0], [0, 1]], "A": [[1], [1]], "B": [[THIRD, -THIRD]], "rate": Fraction(4, 5)},
    "largest_score": {"words": [[[1], 0], [[-1], THIRD]], "word": 0, "state": [THIRD]},
    "never_largest": {"words": [[[1], 0], [[-1], 0], [[0], -THIRD]], "word": 2, "multipliers": [1, 1, 0]},
    "descent_cycle": {"derivative": [[1, [0, 25]], [2, [24, 1]], [None, [-24, 25]]], "rate": Fraction(1, 9),
                      "points": [Fraction(p, 1225) for p in (792, -2208, 2592)], "momentum": Fraction(4, 9)},
    "failure": {"gain": Fraction(2), "states": failure(Fraction(2), 20, 16).states},
    "intervals": {"gain": Fraction(3), "a": intervals(3.0).a, "b": intervals(3.0).b},
}  # fmt: skip
"""A small certificate of every kind."""


def write(path, content):
    path.write_bytes(canonical({**content, "sha256": digest(content)}).encode())


@pytest.fixture
def small(tmp_path, kind):
    """The content of a file with one small certificate, without its SHA-256, and the file."""
    content = {"claim": "0 small", "statement": "", "certificates": [certificate(kind, **SMALL[kind])]}
    write(tmp_path / "small.json", content)
    assert check_file(tmp_path / "small.json") == [content["certificates"][0]["says"]]
    return content, tmp_path / "small.json"


def entries(value, path=()):
    """The paths of all values within a JSON value, itself among them."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from entries(item, (*path, key))


def others(value):
    """Other values for an entry: near ones of the same type, and of other types."""
    if isinstance(value, bool):
        yield from (not value, int(value), None)
    elif isinstance(value, int):
        yield from (value + 1, value - 1, -value - 1, float(value), str(value + 1), bool(value))
    elif isinstance(value, str):
        yield from (value + "0", value[1:], value + " ", None)
        if value[:-1].isdigit():
            yield from (value[:-1] + digit for digit in "123")
    elif isinstance(value, list):
        yield from (value[1:], value[:-1], [*value, *value[-1:]], [], value * 2, None)
        yield value[::-1]
    elif isinstance(value, dict):
        yield from ({**value, "new": 1}, {}, None, dict(list(value.items())[1:]))
        yield {key + "0": item for key, item in value.items()}


def changes(content):
    """Copies of a content with one entry changed, and the path of the entry."""
    for path in entries(content):
        changed = copy.deepcopy({"": content})
        *where, last = "", *path
        parent = changed
        for key in where:
            parent = parent[key]
        original = parent[last]
        for other in others(original):
            if (type(other), other) != (type(original), original) or canonical(other) != canonical(original):
                parent[last] = other
                yield path, copy.deepcopy(changed[""])


def accepted(path):
    try:
        check_file(path)
    except Exception:
        return False
    return True


def test_every_kind_has_a_small_certificate():
    assert SMALL.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", SMALL)
def test_a_file_with_a_changed_entry_is_rejected(small):
    _, path = small
    whole = json.loads(path.read_text())
    tried = 0
    for _, changed in changes(whole):
        path.write_bytes(canonical(changed).encode())
        assert not accepted(path), changed
        tried += 1
    assert tried > 40


@pytest.mark.parametrize("kind", SMALL)
def test_a_file_with_a_changed_byte_is_rejected(small):
    _, path = small
    data = path.read_bytes()
    for i in range(len(data)):
        path.write_bytes(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :])
        assert not accepted(path)
    for other in (data[:-1], data + b" ", b"", b"\xef\xbb\xbf" + data, data.replace(b"\n", b"\r\n")):
        path.write_bytes(other)
        assert not accepted(path)


@pytest.mark.parametrize("kind", SMALL)
def test_a_forger_who_computes_the_digest_proves_nothing_else(small, kind):
    """Labels are not proven, a certificate may come twice, and bounds of states may be larger. No sentence changes."""
    content, path = small
    (right,) = content["certificates"]
    for where, changed in changes(content):
        if not isinstance(changed, dict):
            continue
        write(path, changed)
        if accepted(path):
            assert set(check_file(path)) == {right["says"]}
            labels = where in (("claim",), ("statement",), ("certificates",))
            assert labels or (kind == "failure" and where[2] == "states"), changed


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("order", {"parents": {"a": ["b"], "b": ["a"]}, "order": ["a", "b"]}),
        ("cycle", {"parents": GRAPH, "cycle": ["a", "b"]}),
        ("permutation", {"left": [[1], [1]], "right": [[1], [2]], "columns": [0, 0]}),
        ("defective", {"matrix": [[1, 0], [0, 1]], "eigenvalue": 1, "vector": [1, 0]}),
        ("defective", {"matrix": [[0, 1.0], [0, 0]], "eigenvalue": 0, "vector": [0, 1]}),
        ("defective", {"matrix": [[0, True], [0, 0]], "eigenvalue": 0, "vector": [0, 1]}),
        ("defective", {"matrix": [[0, 1, 0], [0, 0, 0]], "eigenvalue": 0, "vector": [0, 1, 0]}),
        ("jordan_form", {"matrix": [[1]], "vectors": [[1]], "inverse": [[1]], "blocks": [[1, 1], [7, -2]]}),
        ("jordan_form", {"matrix": [[0]], "vectors": [[1, 0]], "inverse": [[1], [0]], "blocks": [[0, 1]]}),
        ("contradiction", {"system": [[[1], True], [[-1], True]], "multipliers": [0, 0]}),
        ("contradiction", {"system": [[[1], False], [[-1], False]], "multipliers": [1, 1]}),
        ("contradiction", {"system": [[[1], True], [[1], True]], "multipliers": [1, -1]}),
        ("contradiction", {"system": [], "multipliers": []}),
        ("vector_bound", {"matrix": [[0, 2], [2, 0]], "vector": [1, 1], "rate": 1}),
        ("vector_bound", {"matrix": [[0, -2], [2, 0]], "vector": [1, 1], "rate": 2}),
        ("vector_bound", {"matrix": [[2]], "vector": [-1], "rate": 1}),
        ("vector_bound", {"matrix": [[2]], "vector": [0], "rate": 1}),
        ("vector_bound", {"matrix": [[1, 1]], "vector": [1, 1], "rate": 2}),
        ("positive_definite", {"matrix": [[1, 2], [2, 1]]}),
        ("positive_definite", {"matrix": [[1, 2], [0, 9]]}),
        ("positive_definite", {"matrix": [[0]]}),
        ("contraction", {"P": [[1]], "A": [[1, 1]], "B": [[1], [-1]], "rate": "1/2"}),  # A B = 0
        ("contraction", {"P": [[-1]], "A": [[1]], "B": [[1]], "rate": 2}),
        ("contraction", {"P": [[1]], "A": [[1]], "B": [[1]], "rate": 1}),
        ("largest_score", {"words": [[[1], 0], [[1], 0]], "word": 0, "state": ["1/2"]}),
        ("largest_score", {"words": [[[1], 0], [[0], "1/2"]], "word": 0, "state": [1]}),
        ("largest_score", {"words": [[[1], 0], [[0], 0]], "word": -2, "state": ["1/2"]}),
        ("never_largest", {"words": [[[0], 0], [[1], 0], [[3], 0]], "word": 1, "multipliers": [1, 0, 1]}),
        ("never_largest", {"words": [[[0], 0], [[1], 0]], "word": 1, "multipliers": [0, 0]}),
        ("never_largest", {"words": [[[0], 0], [[1], 0]], "word": 1, "multipliers": [0, 1]}),
        ("never_largest", {"words": [[[0], 0], [[0], -1], [[0], -3]], "word": 0, "multipliers": [0, 2, -1]}),
        ("descent_cycle", {"derivative": [[None, [0, 1]]], "points": [1, -1], "rate": 1, "momentum": 0}),
        ("descent_cycle", {"derivative": [[None, [0, 1]]], "points": [0, 0], "rate": 1, "momentum": 0}),
        ("descent_cycle", {"derivative": [[0, [0, 2]]], "points": [1, -1], "rate": 1, "momentum": 0}),
        ("failure", {"gain": 3, "states": [1] * 9 + ["1/2"]}),
        ("failure", {"gain": 2, "states": []}),
        ("failure", {"gain": -2, "states": ["1/2"]}),
        ("intervals", {"gain": 2, "a": "3/10", "b": "7/10"}),
        ("intervals", {"gain": 3, "a": "1/2", "b": "1/2"}),
    ],
)
def test_what_is_false_is_not_proven(kind, data):
    with pytest.raises(Exception, match=r".*"):
        KINDS[kind](**data)


def test_what_is_no_file_of_certificates_is_rejected(tmp_path):
    path = tmp_path / "file.json"
    one = certificate("cycle", **SMALL["cycle"])
    right = {"claim": "", "statement": "", "certificates": [one]}
    write(path, right)
    assert accepted(path)
    for wrong in ({**right, "certificates": []}, {**right, "more": 1}, {"certificates": [one]},
                  {**right, "certificates": [{**one, "kind": "main"}]}):  # fmt: skip
        write(path, wrong)
        assert not accepted(path)
    for text in ("[]", "null", "NaN", "[" * 100_000, '{"sha256": NaN}'):
        path.write_text(text)
        assert not accepted(path)


# The command, and the checker alone -----------------------------------------------------------------


def test_the_checker_is_short_and_imports_the_standard_library_alone():
    source = Path(checker.__file__).read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 300
    imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {getattr(node, "module", None) or node.names[0].name for node in imports}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.parametrize("number", [number for number, claim in CLAIMS.items() if claim.certify])
def test_certify(number, tmp_path, capsys):
    path = tmp_path / "certificates.json"
    assert main(["certify", number, "--out", str(path)]) == 0
    out, err = capsys.readouterr()
    count = len(json.loads(path.read_text(encoding="utf-8"))["certificates"])
    assert out.startswith(
        f"{path}: {count} certificate{'s' * (count > 1)}. Check with: python {checker.__file__} {path}"
    )
    assert err == ""
    assert len(check_file(path)) == count


def test_the_checker_runs_alone(tmp_path):
    def run(*arguments):
        command = [sys.executable, "-I", "-S", str(tmp_path / "checker.py"), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        return done.returncode, done.stdout, done.stderr

    shutil.copy(checker.__file__, tmp_path)
    right, wrong = tmp_path / "right.json", tmp_path / "wrong.json"
    write_certificates(CLAIMS["1-3"], right)
    wrong.write_text(right.read_text(encoding="utf-8").replace('"W00"', '"W01"', 1), encoding="utf-8")
    status, out, err = run(right)
    assert (status, out.splitlines()[-1], err) == (0, f"{right}: accepted, 2 proven", "")
    status, out, err = run(wrong, right)
    assert (status, out.splitlines()[-1]) == (1, f"{right}: accepted, 2 proven")
    assert err.startswith(f"{wrong}: rejected: the file was changed")
    assert run()[0] == 2
    assert run("--help")[0] == 0


def test_an_error_leaves_an_older_file(tmp_path, monkeypatch, capsys):
    def wrong():
        yield {**certificate("cycle", **SMALL["cycle"]), "says": "nothing"}

    path = tmp_path / "certificates.json"
    path.write_text("older")
    monkeypatch.setitem(CLAIMS, "2-1", dataclasses.replace(CLAIMS["2-1"], certify=wrong))
    assert main(["certify", "2-1", "--out", str(path)]) != 0
    assert "certificate 1 says 'nothing', but proves" in capsys.readouterr().err
    assert path.read_text() == "older"
    assert main(["certify", "1-1", "--out", str(path)]) != 0
    assert "claim 1-1 has no certificates; the claims with certificates are 1-3," in capsys.readouterr().err
