"""Judged equivalent: changes of the engine."""

from .reasons import ANY, GENERAL, accept

# --- the engine ----------------------------------------------------------------------------------------

accept("an empty list is as false as False", "trees._is_data",
        "return bool(value) and all(map(_is_data, value))", "return value and all(map(_is_data, value))")  # fmt: skip

accept(
    "a module uses its parameters itself", "transforms._Differentiation._variable_for", "return value", "return -value"
)
_MORE = "more = [t for t in tensors if t.node is not None and (not any((t is y for y in self.outputs)))]"
accept(
    "finds leaves again that were found",
    "transforms._Differentiation.outer_leaves",
    "if self._outer is None:",
    "if True:",
)
accept("finds leaves again that were found", "transforms._Differentiation.outer_leaves", _MORE,
        "more = [t for t in tensors]",
        _MORE.replace(" and (not any((t is y for y in self.outputs)))", ""),
        _MORE.replace("and (not any((t is y for y in self.outputs)))", "or not any((t is y for y in self.outputs))"),
        _MORE.replace("t.node is not None and (not any((t is y for y in self.outputs)))",
                      "not any((t is y for y in self.outputs))"))  # fmt: skip
_FOREIGN = "return list(dict.fromkeys(self._outer + self._leaves(more))) if more else self._outer"
accept("each once and in order, a dict is as good as a list", "transforms._Differentiation.outer_leaves", _FOREIGN,
        _FOREIGN.removesuffix(" if more else self._outer"),
        "return dict.fromkeys(self._outer + self._leaves(more)) if more else self._outer")  # fmt: skip
accept("of nothing nothing is found", "transforms._Differentiation.backward",
        "found = reverse_pass(seeds, retain_graph, cast('list[Leaf]', self.sources)) if seeds else {}",
        "found = reverse_pass(seeds, retain_graph, cast('list[Leaf]', self.sources))")  # fmt: skip
accept("of nothing nothing is found", "transforms._Differentiation.differentiable_backward",
        "found = differentiable_pass(seeds, self.sources) if seeds else {}",
        "found = differentiable_pass(seeds, self.sources)")  # fmt: skip
_SEEDS = ("seeds = [(y.node, y.index, g if g.dtype == y.dtype else g.astype(y.dtype)) "
          "for y, g in zip(outputs, cotangents, strict=True) if y.node is not None]")  # fmt: skip
accept("a cast to the same dtype, and its vertex", "transforms._Differentiation.differentiable_backward", _SEEDS,
        _SEEDS.replace("g if g.dtype == y.dtype else ", ""))  # fmt: skip
accept("any sequence is as good", "transforms._Differentiation.results", "return list(tensors)", "return tensors")
_SHAPE = "x, shape = (value if isinstance(value, Tensor) else Tensor(value), np.shape(plain(model)))"
accept("NumPy's shape of a tensor is the tensor's", "transforms._fitting", _SHAPE,
        _SHAPE.replace("plain(model)", "model"))  # fmt: skip
accept("pulling asks for the level again", "transforms._linearize",
        "transposed.differentiable = transposed.differentiable or run.differentiable",
        "transposed.differentiable = run.differentiable")  # fmt: skip
accept("all weights have a node", "transforms._linearize",
        "transposed.own_leaves = run.own_leaves.union((w.node for w in weights if w.node is not None))",
        "transposed.own_leaves = run.own_leaves.union((w.node for w in weights))")  # fmt: skip
for _name, _pass in (
        ("_value_and_grad", "grads = unflatten_each(chosen, run.backward(run.outputs, [g], retain_graph={}))"),
        ("hvp", "return unflatten_each(primals, run.backward(gradient, given, retain_graph={}))")):  # fmt: skip
    accept("frees later what nobody holds", f"transforms.{_name}", _pass.format(False), _pass.format(True))
accept("what is linear in it has the same derivative anywhere", "transforms._weight",
        "fresh = untracked(np.zeros(y.shape, y.dtype if y.dtype.kind == 'f' else np.float64))",
        "fresh = untracked(np.ones(y.shape, y.dtype if y.dtype.kind == 'f' else np.float64))")  # fmt: skip
accept("there is no entry", "transforms._partial_derivatives",
        "return [untracked(np.zeros(y.shape + v.shape, v.dtype)) for v in run.variables]",
        "return [untracked(np.ones(y.shape + v.shape, v.dtype)) for v in run.variables]")  # fmt: skip
_ROWS = "rows = [run.differentiable_backward([y], [untracked(np.asarray(row))]) for row in one_hot]"
accept("the pass casts as well", "transforms._partial_derivatives",
        "one_hot = np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)",
        "one_hot = np.eye(y.size).reshape(y.size, *y.shape)")  # fmt: skip
accept("rules on tensors take arrays for constants", "transforms._partial_derivatives", _ROWS,
        _ROWS.replace("untracked(np.asarray(row))", "np.asarray(row)"))  # fmt: skip


accept("what nobody asked for is not taken; of a list an array is made later", "transforms._one_by_one",
        "return tuple((np.stack([r[k] for r in results]) if need else None for k, need in enumerate(needs)))",
        "return tuple((np.stack([r[k] for r in results]) for k, need in enumerate(needs)))",
        "return tuple(([r[k] for r in results] if need else None for k, need in enumerate(needs)))")  # fmt: skip
accept("a node is true", "core.Tensor.__deepcopy__",
        "if isinstance(self.node, Leaf) and isinstance(twin.node, Leaf) and (self.node.grad is not None):",
        "if self.node and isinstance(twin.node, Leaf) and (self.node.grad is not None):",
        "if isinstance(self.node, Leaf) and twin.node and (self.node.grad is not None):")  # fmt: skip
accept("NumPy takes no dtype for float64", "core.Tensor.__init__",
        "if dtype is not None and np.dtype(dtype).kind not in 'biuf':",
        "if np.dtype(dtype).kind not in 'biuf':")  # fmt: skip
_DTYPES = "if self.dtype not in (get_default_dtype(), np.dtype(np.int64), np.dtype(bool)):"
accept("a dtype is equal to its class", "core.Tensor.__repr__", _DTYPES,
        _DTYPES.replace("np.dtype(np.int64)", "np.int64"), _DTYPES.replace("np.dtype(bool)", "bool"))  # fmt: skip
accept("whatever is given is true or false", "core.Tensor.requires_grad.setter",
        "if bool(value) != self.requires_grad:", "if value != self.requires_grad:")  # fmt: skip
accept("what is not 0 is true", "higher_order._may_depend",
        "return _may_depend((value.start, value.stop, value.step))",
        "return -_may_depend((value.start, value.stop, value.step))")  # fmt: skip

accept("copy.deepcopy notes it as well", "core.Tensor.__deepcopy__", "memo[id(self)] = twin", "pass",
        "memo[self] = twin")  # fmt: skip
accept("NumPy takes the array of a tensor that is not tracked", "core.Tensor.__setitem__",
        "self.data[plain(index)] = value", "self.data[index] = value")  # fmt: skip
accept("NumPy takes the array of a tensor that is not tracked", "core.plain", "if isinstance(value, tuple):",
        "if False:")  # fmt: skip
accept("any sequence is as good", "core.set_outputs", "node.later_outputs = tuple(later)",
        "node.later_outputs = later")  # fmt: skip
accept("keeps a larger array than need be; a rule must not keep what it returned", "backward._is_fresh",
        "if memory.size != grad.size or not memory.flags.owndata:", "if False:",
        "if memory.size != grad.size and (not memory.flags.owndata):")  # fmt: skip
_OTHERS = "[*others, *grads[:argnum], *grads[argnum + 1:]]"
_FRESH = f"return all((memory is not owner(array) for array in arrays_in({_OTHERS})))"
accept("it counts as one of its siblings, and is copied", "backward._is_fresh", _FRESH,
        _FRESH.replace("grads[argnum + 1:]", "grads[1:]"))  # fmt: skip

# --- the reverse pass ------------------------------------------------------------------------------------

_ADDED = "if 0 < lead < g.ndim and g.shape[lead:] == shape and (not batch) and (type(g) is np.ndarray):"
accept(GENERAL, "backward.unbroadcast", _ADDED, _ADDED.replace("type(g) is", "g is"))
accept("a view is copied then, though it might have been kept", "backward._is_fresh", "memory = owner(grad)",
        "memory = grad")  # fmt: skip
accept("a copy of the same dtype", "backward.fit", "return grad if grad.dtype == dtype else grad.astype(dtype)",
        "return grad.astype(dtype)")  # fmt: skip

# --- calls -----------------------------------------------------------------------------------------------

_SHARED_TUPLE = "the same numbers, in a tuple of its own"
accept(_SHARED_TUPLE, "calls._call_binary",
        "node.edges = (*_BOTH[:2], (a.index, b.index)) if a.index or b.index else _BOTH",
        "node.edges = (*_BOTH[:2], (a.index, b.index))")  # fmt: skip
accept(_SHARED_TUPLE, "calls._call_binary", "node.shape = first.shape if shape == first.shape else shape",
        "node.shape = shape")  # fmt: skip
accept(_SHARED_TUPLE, "calls._call_binary",
        "if left.shape is not right.shape and left.shape == right.shape:", ANY)  # fmt: skip
accept(_SHARED_TUPLE, "calls._call_binary", "right.shape = left.shape", ANY)
accept(GENERAL, "calls._call_binary", "if kind is Tensor:", "if False:")
for _of in "ab":
    accept(GENERAL, "calls._call_binary", f"kind = type({_of})", f"kind = {_of}")
    accept(GENERAL, "calls._call_binary", f"if kind is _ndarray and {_of}.dtype is _float32:", "if False:")
accept(GENERAL, "calls._constant", "if type(value) is _ndarray and value.dtype.kind in 'fiub':", "if False:",
        "if value is _ndarray and value.dtype.kind in 'fiub':")  # fmt: skip


# --- what records a pass ---------------------------------------------------------------------------------

accept("of no node there is no note", "recording._Recorder.step",
        "note = None if self._node is None else note_of(self._node)", "note = note_of(self._node)")  # fmt: skip
accept("somebody outside of this package has called", "recording.user_line",
        "while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):",
        "while frame.f_code.co_filename.startswith(_HERE):")  # fmt: skip
accept("the frames next to it are of this package", "recording.user_line", "frame = sys._getframe(1)", ANY)

_SUM = "return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)"
accept("another checksum of the same bytes", "writes._checksum", _SUM, _SUM.replace("zlib", "-zlib"),
        _SUM.replace(".view(np.uint8)", ""), _SUM.replace(".reshape(-1)", ""), _SUM.replace("-1", "-2"))  # fmt: skip
accept(
    "puts them into words as their repr",
    "hooks._name",
    "return f\"the parameter {'.'.join(filter(None, (node.owner, node.name)))}\" if node.name else repr(node)",
    "return f\"the parameter {'.'.join(filter(None, (node.owner, node.name)))}\" if node.name else node",
)
accept("its shape and dtype are all that is told", "writes.overwritten", "return array", "return -array")
accept("without a reference none was written", "writes.overwritten",
        "reference, time = _writes.get(id(owner(array)), (None, 0))",
        "reference, time = _writes.get(id(owner(array)), (None, 1))")  # fmt: skip
_WIDELY = "while frontier and cycle[0] not in reached:"
accept("goes on to all that is reached", "certificates._certify_cycle", _WIDELY, "while frontier:")
accept("a set is gone through as a list is", "certificates._certify_cycle", "frontier = list(new)", "frontier = new")
accept(
    "a set is gone through as a list is",
    "certificates._certify_cycle",
    "frontier = list(reached)",
    "frontier = reached",
)
accept("nobody looks at it again", "certificates._certify_order", "belongs = set(given)", "belongs = given")
accept("it is in the set already", "order.dependents",
        "if node not in live and any((parent in live for parent in parents(node))):",
        "if any((parent in live for parent in parents(node))):")  # fmt: skip

# --- rematerialisation -----------------------------------------------------------------------------------

accept("what it begins at has a node", "rematerialisation._Collector.outside_inputs",
        "if node is None or node in seen:",
        "if node in seen:")  # fmt: skip
_NEEDED = ("return tuple((found.get(key, np.zeros(*key[0].outputs[key[1]])) if need else None "
           "for key, need in zip(self.outside, needs, strict=True)))")  # fmt: skip
accept("gives what the pass does not ask for", "rematerialisation._Run.vjp", _NEEDED,
        _NEEDED.replace(" if need else None", ""))  # fmt: skip
accept("where nothing is tracked there is nothing to compute again", "rematerialisation.checkpoint",
        "if current_scope() is None:", "if False:")  # fmt: skip
accept("nothing is put in the place of nothing", "rematerialisation.checkpoint", "if not made:", "if False:")
accept("a generator is one", "rematerialisation.checkpoint",
        "values = iter((replaced.get(i, y) for i, y in enumerate(tensors)))",
        "values = (replaced.get(i, y) for i, y in enumerate(tensors))")  # fmt: skip
accept("any sequence is as good", "rematerialisation.checkpoint.forward", "(run, list(outside), run.constants)",
        "(run, outside, run.constants)")  # fmt: skip

# --- transforms again ------------------------------------------------------------------------------------

accept("each step casts to the dtype of its input", "transforms._Differentiation.differentiable_backward", _SEEDS,
        _SEEDS.replace("g if g.dtype == y.dtype else g.astype(y.dtype)", "g"),
        _SEEDS.replace("==", "!="), _SEEDS.replace("g.astype(y.dtype)", "g"))  # fmt: skip

# --- anomalies -------------------------------------------------------------------------------------------

accept("set anew with each cotangent, which comes before all that asks", "anomaly._Watch.__init__",
        "self.last = (0, ())", ANY)  # fmt: skip
accept("set anew with each cotangent, which comes before all that asks", "anomaly._Watch.__init__",
        "self.bad_step = None", ANY)  # fmt: skip
accept("is asked of nodes with a primitive alone", "anomaly._Watch.cotangent", "if node.primitive is not None:",
        "if True:")  # fmt: skip
_WORST = "nothing is worse than a NaN, which is 2"
accept(_WORST, "anomaly._Watch.cotangent", "arrived = self.arrived.pop((id(node), index), 2)",
        "arrived = self.arrived.pop((id(node), index), 3)")  # fmt: skip
_THERE = "there = [(word, g) for word, g in given if g is not None and np.shape(g) == flow.shape]"
accept("None is left out when it is put into words", "anomaly._bad_flow", _THERE,
        _THERE.replace("g is not None and ", ""))  # fmt: skip
_SAVED = "given += [('saved', array) for array in arrays_in(tuple(node.residuals or ()))]"
accept("any sequence is as good, and there is one", "anomaly._bad_flow", _SAVED,
        _SAVED.replace("tuple(node.residuals or ())", "node.residuals or ()"),
        _SAVED.replace(" or ()", ""))  # fmt: skip
_ALONG = "index = first_worst(bad, axis=1 if primitive.steps is not None and bad.ndim == 3 else None)"
_STEP_OF = "return f', time step {index[1]}' if primitive.steps is not None and array.ndim == 3 else ''"
_MET = "given = [np.broadcast_to(badness_of_entries(x), output.shape) for x in inputs if x is not None]"
accept("None is not bad", "anomaly._check_forward", _MET, _MET.replace(" if x is not None", ""))
accept("what works entry by entry has one output, as its inputs broadcast", "anomaly._check_forward",
        "by_entries = shape is not None and primitive.entrywise", "by_entries = primitive.entrywise")  # fmt: skip
_BROADCAST = "shape = np.broadcast_shapes(*(np.shape(x) for x in inputs if x is not None))"
accept("None broadcasts", "anomaly._entrywise_shape", _BROADCAST, _BROADCAST.replace(" if x is not None", ""))
accept("it is an array", "anomaly._what", "value = np.asarray(array)[index]", "value = array[index]")
accept("looks on though nothing is worse", "anomaly.badness", "while stack and worst < 2:", "while stack:",
        "while stack and worst <= 2:", "while stack and worst < 3:")  # fmt: skip
accept("integers of 0 have no sign", "anomaly.badness_of_entries", "return np.zeros(x.shape, np.int8)",
        "return -np.zeros(x.shape, np.int8)")  # fmt: skip

accept("tensors and masked arrays are told apart again behind it", "hooks._array", "if isinstance(result, Tensor):",
        "if False:")  # fmt: skip
accept("tensors and masked arrays are told apart again behind it", "hooks._array", "refuse_masked(result)", "pass",
        "result")  # fmt: skip

# --- the rest of the engine ------------------------------------------------------------------------------

_PULLED = ("seeds = [(y.node, y.index, c) for y, c in zip(outputs, cotangents, strict=True) "
           "if y.node and c is not None]")  # fmt: skip
accept("None is no cotangent to the pass", "higher_order._differentiate_reference", _PULLED,
        _PULLED.replace(" and c is not None", ""))  # fmt: skip
accept("any sequence is as good", "calls._sort_arguments", "list(args)", "args")
accept(GENERAL, "calls._sort_arguments", "if not kwargs and len(args) == len(primitive.arguments):", ANY)
accept(GENERAL, "calls._sort_arguments", "if value is None:", ANY)
_SURPLUS = "surplus = len(args) > primitive.positional or given.keys() & kwargs.keys()"
_ASKS = "asks the signature, which knows, more often"
accept(_ASKS, "calls._sort_arguments", _SURPLUS, _SURPLUS.replace(".keys() & kwargs", " & kwargs"),
        _SURPLUS.replace("kwargs.keys()", "kwargs"), _SURPLUS.replace(" & kwargs.keys()", ""),
        _SURPLUS.replace("&", "|"), _SURPLUS.replace("given.keys() & ", ""),
        _SURPLUS.replace("len(args) >", "len(args) >="))  # fmt: skip
accept(_ASKS, "calls._sort_arguments", "if surplus or any((value is None for value in inputs)):", ANY)
_SHARED = "tuples that are equal are compared entry by entry then, where one is faster"
accept(_SHARED, "calls._call_binary", "if left.shape is not right.shape and left.shape == right.shape:", ANY)
accept(_SHARED, "calls._call_binary", "right.shape = left.shape", "pass")
