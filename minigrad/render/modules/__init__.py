"""A module by its calls: what it holds, what it gives, what it costs."""
