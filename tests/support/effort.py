"""How much harder random tests try: 1, and more in `make test-slow` (as in the Rust tests)."""

from __future__ import annotations

import os

EFFORT = int(os.environ.get("TEST_EFFORT", "1"))
