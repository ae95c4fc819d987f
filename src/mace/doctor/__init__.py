"""What is wrong when a model does not start, is slow to start, or cannot keep what it compiled; and the command that
mends it.
"""

from __future__ import annotations

from mace.doctor.diagnose import Diagnosis, diagnose
from mace.doctor.finding import Code, Finding, Severity

__all__ = ["Code", "Diagnosis", "Finding", "Severity", "diagnose"]
