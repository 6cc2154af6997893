"""Run code cells in the worker of a page. A page may add functions of its own with `prepare`."""

import ast
import base64
import io
import json
import linecache
import os
import sys
import traceback

os.environ["MPLBACKEND"] = "agg"  # figures are shown when their cell ends
names = {"__name__": "__main__"}  # the namespace that all cells share


def prepare(program: str) -> None:
    """Run a page's program in this module."""
    exec(program, globals())


def call(name: str, *values: object) -> str:
    """Call a function of this module, and return its result as JSON."""
    return json.dumps(globals()[name](*values))


def run_cell(source: str, cell: str, interactive: bool = False) -> dict[str, object]:
    """Run a cell, and return its `outputs`, a list of MIME types and contents, and the `error`, or None.

    cell: the title that tracebacks show as the file. interactive: show each expression, not only the last one.
    """
    outputs, error = [], None
    linecache.cache[cell] = len(source), None, source.splitlines(keepends=True), cell
    try:
        body = ast.parse(source, cell).body
        silent = source.rstrip().endswith(";")
        for i, statement in enumerate(body):
            if isinstance(statement, ast.Expr) and (interactive or (i == len(body) - 1 and not silent)):
                value = eval(compile(ast.Expression(statement.value), cell, "eval"), names)
                if value is not None:
                    outputs.append(display_data(value))
                    if interactive and outputs[-1][0] == "text/plain":
                        print(outputs.pop()[1])  # in order with what the other statements print
            else:
                exec(compile(ast.Module([statement], []), cell, "exec"), names)
        outputs += figures()
    except BaseException as caught:
        error = describe_error(caught, source, cell)
    print(end="", flush=True)
    return {"outputs": outputs, "error": error}


def display_data(value: object) -> tuple[str, str]:
    """Return the richest MIME type of a value that the page can show, and its content."""
    if isinstance(value, type):
        return "text/plain", repr(value)
    if hasattr(value, "_repr_mimebundle_"):
        return "text/plain", value._repr_mimebundle_()["text/plain"]
    for kind, method in (("image/svg+xml", "_repr_svg_"), ("text/html", "_repr_html_"), ("image/png", "_repr_png_")):
        content = getattr(value, method, lambda: None)()
        if content is not None:
            return kind, base64.b64encode(content).decode() if isinstance(content, bytes) else content
    return "text/plain", repr(value)


def figures() -> list[tuple[str, str]]:
    """Return the open figures of matplotlib as PNG pictures, and close them."""
    pyplot, pictures = sys.modules.get("matplotlib.pyplot"), []
    try:
        for number in pyplot.get_fignums() if pyplot else ():
            file = io.BytesIO()
            pyplot.figure(number).savefig(file, format="png")
            pictures.append(("image/png", base64.b64encode(file.getvalue()).decode()))
    finally:
        if pyplot:
            pyplot.close("all")
    return pictures


def describe_error(error: BaseException, source: str, cell: str) -> dict[str, object]:
    """Return an error's message, and the innermost line of the cell in its traceback, from 1; 0 if there is none."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == cell]
    if isinstance(error, SyntaxError) and error.filename == cell:
        lines.append(error.lineno)
    message = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, ModuleNotFoundError):
        message += "\nThis site does not have it for the browser."
    return {"message": message, "line": lines[-1] if lines else 0, "source": source}
