"""ONNX files: export networks to other runtimes, and import them from other frameworks.

`exporting` writes a module: `graph_writer` records the primitives that a call applies, `operators` writes each in
ONNX's operators, and `dynamic_axes` merges the graphs of several sizes. `importing` checks a file and runs its
operators as a module, each by its reader in `operators`.
"""
