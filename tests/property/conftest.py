"""Profiles of hypothesis: by default, few examples that are the same each time.

`HYPOTHESIS_PROFILE=full` draws 2,000 new examples for each claim. `mutants` draws only 20.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Neither an example nor the drawing of examples has a time limit: a slow machine fails no claim.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("default", UNTIMED, max_examples=200, derandomize=True, database=None)
settings.register_profile("full", UNTIMED, max_examples=2_000, print_blob=True)
settings.register_profile("mutants", UNTIMED, max_examples=20, derandomize=True, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
