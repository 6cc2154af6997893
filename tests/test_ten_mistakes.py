"""The ten mistakes of newcomers: the guide's examples, and variants of its mistakes."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.ops.methods import _FOREIGN, _FOREIGN_METHODS

GUIDE = Path(__file__).parent.parent / "docs" / "guides" / "ten_mistakes.md"


BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n((?:> [^\n]*\n)+))?", re.DOTALL)


def raised_by(code, names):
    """Run code; return the error or else the last warning as "Type: message", or an empty string."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            exec(compile(code, GUIDE.name, "exec"), names)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return f"UserWarning: {caught[-1].message}" if caught else ""


def test_guide_shows_the_real_messages(capsys):
    names: dict[str, object] = {}
    blocks = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    for code, quoted in blocks:
        said = re.sub(r"called at [^)]*", "called at …", raised_by(code, names))
        assert said.split() == quoted.replace("> ", "").strip().strip("`").split()
        printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
        commented = re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)
        assert len(printed) == len(commented)
        assert all(comment.startswith(line) for line, comment in zip(printed, commented, strict=True))
    assert len([quoted for _, quoted in blocks if quoted]) == 10


@pytest.mark.filterwarnings("ignore:.*encountered in divide:RuntimeWarning")
def test_where_needs_a_second_one_inside():
    def slopes(root):
        v = mg.tensor([1.0, 2.0], requires_grad=True)
        mg.where(v > 1, root(v), 0.0).sum().backward()
        return v.grad

    np.testing.assert_array_equal(slopes(lambda v: mg.sqrt(v - 1)), [np.nan, 0.5])
    np.testing.assert_array_equal(slopes(lambda v: mg.sqrt(mg.where(v > 1, v - 1, 1.0))), [0, 0.5])


def tracked():
    return mg.tensor([1.0, 2.0], requires_grad=True)


def frozen_by(cut):
    """Call backward on a loss that is cut off from its weights."""
    cut(tracked()).sum().backward()


@mg.no_grad()
def doubled(w):
    return w * 2


MISTAKES = {
    "through .data": (lambda: frozen_by(lambda w: mg.tensor(w.data * 2)), "Create its inputs with mg.tensor"),
    "through numpy()": (lambda: frozen_by(lambda w: mg.tensor(w.numpy() * 2)), "numpy.* have no gradient"),
    "through no_grad": (lambda: frozen_by(doubled), "no_grad.* have no gradient"),
    "integers": (lambda: mg.tensor([1, 2], requires_grad=True), "not int64. Pass floats, or a dtype"),
    "list to a function": (lambda: mg.sum([tracked(), tracked()]), "mg.stack or mg.concatenate"),
    "list to a layer": (lambda: mg.nn.Linear(2, 3)([tracked()]), "mg.stack or mg.concatenate"),
    "np.array": (lambda: np.array([tracked(), tracked()]), "mg.stack or mg.concatenate"),
    "a second loss": (lambda: (h := tracked() ** 2, h.sum().backward(), (h * 2).sum().backward()), "retain_graph=True"),
    "channels last, 1d": (lambda: mg.nn.Conv1d(3, 4, 3)(np.ones((2, 8, 3))), r"channels last, moveaxis\(x, -1, 1\)"),
    "classes second": (lambda: mg.cross_entropy(np.ones((2, 5, 3)), np.zeros((2, 3), int)), r"LAST.*moveaxis\(logits"),
    "two axes of three": (lambda: mg.tensor(np.ones((2, 3, 4))).transpose(0, 1), "x has 3, not 2.*call swapaxes"),
    "keepdim": (lambda: mg.softmax(mg.tensor([1.0]), keepdim=True), "'keepdim'.*axis, keepdims"),
    "axis": (lambda: tracked().sum(dim=0), "'dim'. Use NumPy's names"),
    "view": (lambda: tracked().view(2, 1), r"'view'. Use x.reshape\(shape\)"),
    "parameter": (lambda: mg.nn.Parameter([1.0]).to("cuda"), "'Parameter' object.*astype"),
    "module": (lambda: mg.cat([tracked(), tracked()]), "module 'minigrad' .*'cat'. Use mg.concatenate"),
    "chunk": (lambda: tracked().chunk(2), r"'chunk'. Use mg.split\(x, n\)"),
    "unbind": (lambda: tracked().unbind(), r"'unbind'. Use list\(x\)"),
    "expand": (lambda: tracked().expand(3, 2), r"'expand'. Use mg.broadcast_to\(x, shape\)"),
    "dim": (lambda: tracked().dim(), "'dim'. Use x.ndim"),
    "cpu": (lambda: tracked().cpu(), "'cpu'. Use x itself"),
    "to": (lambda: tracked().to("cuda"), r"'to'. Use x.astype\(dtype\)"),
    "device of a module": (
        lambda: mg.nn.Linear(2, 3).to("cuda"),
        "'Linear' object .*'to'. .*every tensor is on the CPU",
    ),
    "cuda of a module": (lambda: mg.nn.Linear(2, 3).cuda(), "'Linear' object .*'cuda'. .*every tensor is on the CPU"),
    "vmap": (lambda: mg.vmap(mg.sum), "'vmap'. Use a batch axis"),
    "jacrev": (lambda: mg.jacrev(mg.sum), "'jacrev'. Use mg.jacobian"),
    "autograd": (lambda: mg.autograd.grad, "'autograd'. Use mg.grad"),
    "eye": (lambda: mg.eye(2), r"'eye'. Use mg.tensor\(np.eye"),
    "zeros_like": (lambda: mg.zeros_like(tracked()), r"'zeros_like'. Use mg.tensor\(np.zeros_like\(x\)\)"),
    "nn": (lambda: mg.nn.LSTMCell(2, 3), "mg.lstm_step"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_messages_say_what_to_write(mistake):
    call, message = MISTAKES[mistake]
    with pytest.raises((AttributeError, TypeError, ValueError), match=f"(?s){message}"):
        call()


def test_advice_names_what_exists():
    for name in re.findall(r"\bmg\.([\w.]+)", " ".join(_FOREIGN.values())):
        owner = mg.nn if name.startswith("nn.") else mg
        assert hasattr(owner, name.removeprefix("nn."))
    for name in re.findall(r"\bx\.(\w+)", " ".join(_FOREIGN.values())):
        assert hasattr(mg.Tensor, name)
    assert not [name for name in _FOREIGN if hasattr(mg.Tensor, name) or hasattr(mg.nn, name)]
    assert not [name for name in _FOREIGN.keys() - _FOREIGN_METHODS.keys() if hasattr(mg, name)]


@pytest.mark.parametrize("owner", [mg, mg.nn, mg.tensor(1.0)])
def test_other_missing_names_get_no_advice(owner):
    with pytest.raises(AttributeError, match=r"has no attribute 'shap'$"):
        _ = owner.shap


@pytest.mark.parametrize(
    ("expression", "ending"),
    [
        ("mg.nn.Lienar", "'minigrad.nn' has no attribute 'Lienar'. Did you mean: 'Linear'?"),
        ("mg.sofmax", "'minigrad' has no attribute 'sofmax'. Did you mean: 'softmax'?"),
        ("mg.optim.Adm", "has no attribute 'Adm'. Did you mean: 'Adam'?"),
        ("mg.nn.Linear(2, 3).weigth_", "'Linear' object has no attribute 'weigth_'. Did you mean: 'weight'?"),
        ("mg.tensor(1.0).shap", "'Tensor' object has no attribute 'shap'. Did you mean: 'shape'?"),
        ("mg.cat", "'minigrad' has no attribute 'cat'. Use mg.concatenate."),
        ("mg.tensor(1.0).view", "'Tensor' object has no attribute 'view'. Use x.reshape(shape)."),
    ],
)
def test_tracebacks_suggest_the_nearest_name_unless_there_is_advice(expression, ending):
    code = f"import minigrad as mg\n{expression}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.rstrip().endswith(ending)


def test_modules_may_have_the_names_for_which_there_is_advice():
    """As attributes, methods, and keys of a ModuleDict."""

    class Sender(mg.nn.Module):
        def __init__(self):
            self.to = mg.nn.Linear(2, 3)

        def cuda(self):
            return "cuda"

    sender = Sender()
    assert (list(sender.state_dict()), sender.cuda()) == (["to.weight", "to.bias"], "cuda")
    assert not hasattr(sender, "cpu")
    assert isinstance(mg.nn.ModuleDict({"cpu": mg.nn.ReLU()})["cpu"], mg.nn.ReLU)


@pytest.mark.parametrize("optimiser", [mg.optim.SGD, mg.optim.Adam])
def test_step_without_a_gradient_warns(optimiser):
    layer = mg.nn.Linear(2, 2)
    steps = optimiser(layer.parameters(), lr=0.1)
    layer(np.ones((3, 2), np.float32)).sum().backward()
    steps.step()
    steps.zero_grad()
    with pytest.warns(UserWarning, match=f"{optimiser.__name__}.step: no parameter has a gradient") as caught:
        steps.step()
    assert caught[0].filename == __file__
