"""The statuses of task runs and runs (section 4.1)."""

from __future__ import annotations

TERMINAL = ("SUCCEEDED", "WARNING", "FAILED", "CANCELLED", "SKIPPED")
STATUSES = ("CREATED", "QUEUED", "RUNNING", *TERMINAL, "CANCELLING")
GOOD = ("SUCCEEDED", "WARNING")
"""What the default rule wants of everything upstream (section 4.3)."""
