"""Claims 2-1 and 2-2: a DAG has a topological order, and what has one is a DAG."""
