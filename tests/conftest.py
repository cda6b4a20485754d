"""Settings of all tests: the same examples every time, and no deadline that a busy machine could miss.

`pytest --hypothesis-profile=explore` looks for new examples.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=1000, deadline=None)
settings.load_profile("repeatable")
