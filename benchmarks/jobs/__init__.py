"""One job a file: its cases, its rivals as small functions, its aims."""
