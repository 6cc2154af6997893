"""Score captions against human captions."""
