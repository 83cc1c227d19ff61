"""The memory of a process that has loaded all it needs and now works for a long time."""

import ctypes
import gc


def settle(look_for_cycles_after: int) -> None:
    """Keep what is loaded out of the search for cycles, and give back to the system what loading has left behind.

    :param look_for_cycles_after: objects that are made between two searches.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(look_for_cycles_after, 20, 20)
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; it keeps freed memory otherwise
    if trim:
        trim(0)
