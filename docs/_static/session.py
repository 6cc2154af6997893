"""Run code cells in the worker of a page, and return what they show as JSON."""

import ast
import base64
import io
import json
import linecache
import os
import sys
import traceback

os.environ["MPLBACKEND"] = "agg"  # figures are shown when their cell ends
names = {"__name__": "__main__"}  # of all cells of the page


def run_cell(source: str, cell: str, interactive: bool = False) -> str:
    """Run a cell, and return JSON: a list `shown` of MIME types and contents, and the `error`, or null.

    cell: its title, which stands in tracebacks for a file. interactive: show each expression, not only the last one.
    """
    shown, error = [], None
    linecache.cache[cell] = len(source), None, source.splitlines(keepends=True), cell
    try:
        body = ast.parse(source, cell).body
        silent = source.rstrip().endswith(";")
        for i, statement in enumerate(body):
            if isinstance(statement, ast.Expr) and (interactive or (i == len(body) - 1 and not silent)):
                value = eval(compile(ast.Expression(statement.value), cell, "eval"), names)
                shown += [content_of(value)] if value is not None else []
            else:
                exec(compile(ast.Module([statement], []), cell, "exec"), names)
            if interactive:
                print(end="", flush=True)
    except BaseException as caught:
        error = described(caught, source, cell)
    return json.dumps({"shown": [*shown, *figures()], "error": error})


def content_of(value: object) -> tuple[str, str]:
    """Return the best MIME type that a page shows, and the content."""
    if hasattr(value, "_repr_mimebundle_"):
        return "text/plain", value._repr_mimebundle_()["text/plain"]
    for kind, method in (("image/svg+xml", "_repr_svg_"), ("text/html", "_repr_html_"), ("image/png", "_repr_png_")):
        content = getattr(value, method, lambda: None)()
        if content is not None:
            return kind, base64.b64encode(content).decode() if isinstance(content, bytes) else content
    return "text/plain", repr(value)


def figures() -> list[tuple[str, str]]:
    """Return the open figures of matplotlib, and close them."""
    pyplot, pictures = sys.modules.get("matplotlib.pyplot"), []
    for number in pyplot.get_fignums() if pyplot else ():
        file = io.BytesIO()
        pyplot.figure(number).savefig(file)
        pictures.append(("image/png", base64.b64encode(file.getvalue()).decode()))
        pyplot.close(number)
    return pictures


def described(error: BaseException, source: str, cell: str) -> dict[str, object]:
    """Return the message of an error, and the last line of the cell that led to it, from 1; 0 if there is none."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == cell]
    if isinstance(error, SyntaxError) and error.filename == cell:
        lines.append(error.lineno)
    message = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, ModuleNotFoundError):
        message += "\nThis site does not have it for the browser. Run the page as a notebook on your machine."
    return {"message": message, "line": lines[-1] if lines else 0, "source": source}
