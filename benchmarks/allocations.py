"""The most memory that torch's CPU allocator has given out at once, from its own events."""

from __future__ import annotations

from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile


def most_allocated(work: Callable[[], object]) -> int:
    """Bytes allocated and not yet freed while `work` runs, at the highest; what was there before
    does not count."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as events:
        work()
    changes = [
        (event.start_ns(), event.nbytes())
        for event in events.profiler.kineto_results.events()
        if event.name() == "[memory]"
    ]
    now = most = 0
    for _, size in sorted(changes):
        now += size
        most = max(most, now)
    return most
