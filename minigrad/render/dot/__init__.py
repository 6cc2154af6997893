"""A picture as DOT text, and what a layout program makes of it."""
