"""Two profiles: quick and the same each time by default.

`HYPOTHESIS_PROFILE=full` draws 2,000 fresh examples of each claim.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A slow machine is no reason to fail: neither an example nor the drawing of examples has a bound.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("default", UNTIMED, max_examples=200, derandomize=True, database=None)
settings.register_profile("full", UNTIMED, max_examples=2_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
