"""From a captioner's scores to captions."""
