"""A picture as lines of text."""
