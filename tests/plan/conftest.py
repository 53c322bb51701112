"""Properties are looked for within seconds here; HYPOTHESIS_PROFILE=long looks for minutes."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile("short", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("short"), max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))
