"""What a run will do and need, worked out before anything is loaded.

`steps.py` counts, `blueprint.py` builds the policy without memory, `dry_run.py` runs a micro-batch
on it to see what is alive at once, `memory.py` adds up a GPU, `speed.py` estimates the time.
"""

from adora_mm.plan.steps import Plan, describe, make_plan

__all__ = ["Plan", "describe", "make_plan"]
