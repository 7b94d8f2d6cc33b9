"""What runs inside a worker process: the same decision, then sympy, under an address-space limit.

A worker is a fresh interpreter that runs `main` below, not a `multiprocessing` child: it never
imports the caller's main module, so it starts small whatever the caller has loaded, and daemonic
processes (DataLoader workers) may start it too.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from multiprocessing.connection import Connection

from adora_mm.types import Verdict
from adora_mm.verify.check import Choices, decide_answer, decide_response, verdict
from adora_mm.verify.profiles import Profile

Job = tuple[str, str, str, Choices, Profile]
"""(kind, text, gold, choices, profile) with kind "response" or "answer"."""


def decide(job: Job) -> Verdict | None:
    """The bounded in-process decision of a job; None when it needs a worker."""
    kind, text, gold, choices, profile = job
    rule = decide_response if kind == "response" else decide_answer
    return rule(text, gold, choices, profile)


def serve(connection: Connection, memory_mb: int, parent: int) -> None:
    """Answer jobs until the pipe closes; a crash or a kill is the parent's to notice."""
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    limit_memory(memory_mb)
    # sympy is imported before the first job, so that its start does not count as checking time.
    import sympy  # noqa: F401

    from adora_mm.verify.scalars import set_last_resort
    from adora_mm.verify.symbolic import symbolically_equal

    set_last_resort(symbolically_equal)
    connection.send("ready")
    while True:
        try:
            job: Job | None = connection.recv()
        except (EOFError, OSError):
            return
        if job is None:
            return
        try:
            result = decide(job) or verdict("incorrect", job[1][:80], "could not be shown equal")
        except MemoryError:
            result = verdict("timeout", None, "the memory limit of one check was reached")
        except Exception as error:
            result = verdict("unparsed", None, f"the symbolic tier failed: {type(error).__name__}")
        connection.send(result)


def _leave_with(parent: int) -> None:
    """End this process when its parent is gone, even in the middle of a check."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def limit_memory(memory_mb: int) -> None:
    """Cap this process's address space (Linux and macOS; nothing to do elsewhere)."""
    try:
        import resource
    except ImportError:
        return
    size = memory_mb * 1024 * 1024
    try:
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    except (ValueError, OSError):
        return


def main() -> None:
    """Entry of a worker process; its arguments are the socket, the memory limit and the parent."""
    descriptor, memory_mb, parent = (int(text) for text in sys.argv[1:4])
    serve(Connection(descriptor), memory_mb, parent)
