"""ONNX files: networks written for other runtimes, and read from other frameworks.

`tracing` sees which primitives a call applies; `writers` says each in ONNX's operators, `graphs` collects these,
`dynamic_axes` merges the graphs of several sizes, and `exporting` makes a file. `importing` reads and judges a file,
`readers` has each operator in primitives, and `networks` runs them as a module.
"""
