"""The answer checker: decides whether an answer is correct, quickly, exactly and safely.

`check_answer` compares an answer with a gold, `check_response` finds the final answer first, and
`CheckerPool` does many within time and memory limits. Importing this package loads neither sympy
nor mpmath nor torch.
"""

from __future__ import annotations

from adora_mm.verify.pool import CheckerPool
from adora_mm.verify.profiles import PROFILES, Profile
from adora_mm.verify.single import check_answer, check_response

__all__ = ["PROFILES", "CheckerPool", "Profile", "check_answer", "check_response"]
