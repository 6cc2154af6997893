"""The tensors that a module owns: parameters, which are trained, and buffers, which are kept beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Leaf, Tensor, current_scope, plain

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A tensor that a module owns and an optimiser trains: it requires a gradient from the start.

    Args:
        data: floating numbers as for :func:`minigrad.tensor`, of any shape; copied.
        dtype: another dtype to convert to.

    Raises:
        TypeError: if the data are not real floats; under :func:`minigrad.no_grad` also by ``p *= 2`` and its like,
            which would only give the name to a new tensor. To change a parameter write into its ``.data``.

    >>> p = Parameter([1.0, 2.0])
    >>> p.data *= 2
    >>> p
    Parameter(tensor([2., 4.], requires_grad=True))
    """

    __slots__ = ("_name", "_owner")

    def __init__(self, data: Any, dtype: Any = None) -> None:
        super().__init__(data, dtype, requires_grad=True)
        self.name = "parameter"  # until a module holds it
        self.owner = ""

    @property
    def name(self) -> str:
        """The attribute under which a module holds it, else "parameter"; drawings call it so."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name
        if isinstance(self.node, Leaf):
            self.node.name = name

    @property
    def owner(self) -> str:
        """The name of the module that holds it, its attribute in another module or its class; empty if none does."""
        return self._owner

    @owner.setter
    def owner(self, owner: str) -> None:
        self._owner = owner
        if isinstance(self.node, Leaf):
            self.node.owner = owner

    # NotImplemented: Python goes on to the ordinary operator. (Tensor has none of these: a look-up more in each step.)

    def __iadd__(self, other: Any) -> Any:
        return self._refuse_rebinding("+")

    def __isub__(self, other: Any) -> Any:
        return self._refuse_rebinding("-")

    def __imul__(self, other: Any) -> Any:
        return self._refuse_rebinding("*")

    def __itruediv__(self, other: Any) -> Any:
        return self._refuse_rebinding("/")

    def __ipow__(self, other: Any) -> Any:
        return self._refuse_rebinding("**")

    def __imatmul__(self, other: Any) -> Any:
        return self._refuse_rebinding("@")

    def _refuse_rebinding(self, symbol: str) -> Any:
        """An error where nothing is recorded, and so the parameter itself must have been meant."""
        if current_scope() is None:
            raise TypeError(
                f"p {symbol}= ... would not change a parameter (here {self.name}), only give its name to a new tensor: "
                f"write p.data {symbol}= ..., or p = p {symbol} ... for a new one"
            )
        return NotImplemented

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        twin = Parameter(self.data)
        twin.name, twin.owner = self.name, self.owner
        if self.grad is not None:
            twin.grad = np.array(plain(self.grad))
        twin.requires_grad = self.requires_grad  # false for a frozen one
        memo[id(self)] = twin
        return twin

    def __repr__(self) -> str:
        return f"Parameter({super().__repr__()})"


class Buffer(Tensor):
    """A tensor that belongs to a module's state and is not trained, such as a running mean.

    It is in ``state_dict`` and not among ``parameters()``. Assigning an untracked tensor to the attribute that holds it
    makes that one the buffer.

    Args:
        data: real numbers as for :func:`minigrad.tensor`, integers too, of any shape; copied.
        dtype: another dtype to convert to.
        persistent: whether it is saved; without, it is not in ``state_dict``, as what can be made anew.

    Raises:
        TypeError: if the data are not real numbers, or a tensor whose gradient would be lost.

    >>> from minigrad import nn
    >>> class Counter(nn.Module):
    ...     def __init__(self):
    ...         self.calls = nn.Buffer(0)
    ...     def forward(self, x):
    ...         self.calls = self.calls + 1
    ...         return x
    >>> counter = Counter()
    >>> _ = counter(1.0)
    >>> counter.calls, counter.state_dict(), list(counter.parameters())
    (Buffer(tensor(1)), {'calls': array(1)}, [])
    """

    __slots__ = ("persistent",)

    def __init__(self, data: Any, dtype: Any = None, persistent: bool = True) -> None:
        if isinstance(data, Tensor) and data.node is not None:
            raise TypeError("a buffer is not differentiated, a tracked tensor would lose its gradient: .detach() it")
        super().__init__(data, dtype)
        self.persistent = persistent

    @property
    def requires_grad(self) -> bool:
        """False: what is trained is a :class:`Parameter`."""
        return False

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value:
            raise ValueError("a buffer cannot require a gradient: make it an nn.Parameter")

    def __deepcopy__(self, memo: dict[int, Any]) -> Buffer:
        memo[id(self)] = twin = Buffer(self.data, persistent=self.persistent)
        return twin

    def __repr__(self) -> str:
        return f"Buffer({super().__repr__()})"
