"""Keeps freed memory in the process, which glibc would otherwise give back and fault in again.

A training step allocates and frees the same large temporaries thousands of times; by default glibc
maps each of them anew and the kernel zeroes every page. Nothing changes but speed.
"""

import ctypes
import platform

_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Ask glibc to keep large blocks; say whether it agreed (never, on another C library)."""
    if platform.libc_ver()[0] != "glibc":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    mallopt.argtypes = [ctypes.c_int, ctypes.c_int]
    mallopt.restype = ctypes.c_int
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT))
