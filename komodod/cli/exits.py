"""What the exit code of `komodod` says."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes. `DIFFERENT` is an answer, and only of those commands whose answer is a difference."""

    FINE = 0
    DIFFERENT = 1
    ERROR = 2
    UNREACHABLE = 3
    BAD_CONFIG = 78
    """sysexits.h: EX_CONFIG."""
    INTERRUPTED = 130
    """128 + SIGINT, as shells count."""
    PIPE_CLOSED = 141
    """128 + SIGPIPE: who read our output went away."""
