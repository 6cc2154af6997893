"""Photos, and the pictures of a report."""
