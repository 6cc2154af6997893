"""A run as one page to read, print and hand on: what it learnt, what it says, and how good that is.

`contents` gathers it, `page` writes it. Each section is a module that makes markup of plain data, which is drawn by
`axes`, `charts` and `bars`; nothing stands on the page but through `markup`, which escapes it.
"""
