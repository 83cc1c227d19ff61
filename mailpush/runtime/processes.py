"""Child processes: whose they are, and that they end with their parent, whatever ends the parent."""

import ctypes
import pwd
import signal
import sys
from collections.abc import Callable
from typing import Any

PR_SET_PDEATHSIG = 1  # linux/prctl.h

# How Celery's warning of root begins. It is meant for pickled tasks, which we do not accept.
SUPERUSER = "You're running the worker with superuser"


def dies_with_parent(how: signal.Signals) -> Callable[[], None] | None:
    """Return what a child calls between fork and exec so that the kernel sends it `how` when its parent is gone.

    Linux only; elsewhere a parent that is killed outright leaves its children to the next start.
    The library is loaded here, because between fork and exec nothing may be.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, int(how), 0, 0, 0)

    return ask


def run_as(user: str | None) -> dict[str, Any]:
    """Return what makes a child another user's with none of our groups; nothing for our own."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
