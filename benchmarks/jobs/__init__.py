"""One job per file: its cases, its rivals as small functions, its aims."""
