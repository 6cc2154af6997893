"""Shared settings: Hypothesis profiles and the slow marker."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Two cores share the suite: fewer examples by default, more in a campaign (HYPOTHESIS_PROFILE=thorough).
settings.register_profile(
    "default", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile("thorough", max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
