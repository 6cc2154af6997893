"""A data set that the project draws itself: small worlds, their pictures, captions, and a judge of captions."""
