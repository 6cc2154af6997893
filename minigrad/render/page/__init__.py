"""A picture as a page to explore it in; the page's script and style are the files in ``assets``."""
