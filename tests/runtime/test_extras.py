"""Packages that only some functions need."""

import pytest

from minigrad.runtime.extras import require


def test_errors_for_missing_and_broken_packages(tmp_path, monkeypatch):
    with pytest.raises(
        ModuleNotFoundError,
        match=r'no_such_package: pip install "minigrad-engine\[caption\]", or pip install no_such_package',
    ):
        require("no_such_package.part", "caption")
    (tmp_path / "broken_package.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_dependency'"):
        require("broken_package", "caption")
