"""A report about a training run: one HTML page to read, print and pass on.

`contents` collects captions and scores, `sections` turns them into charts and tables, `page` renders the template.
"""
