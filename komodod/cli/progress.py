"""A sign of life while something takes long."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from komodod.cli.words import duration, printable

PATIENCE: Final = 0.5
"""Seconds before the first sign: what is done by then needs none."""


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Show on the terminal, if standard error is one, what goes on and for how long; it is gone when it is over."""
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    clock = threading.Thread(target=_count, args=(printable(what), over), daemon=True)
    clock.start()
    try:
        yield
    finally:
        over.set()
        clock.join()


def _count(what: str, over: threading.Event) -> None:
    began, shown = time.monotonic(), False
    while not over.wait(1.0 if shown else PATIENCE):
        sys.stderr.write(f"\r\x1b[2K{what}, {duration(int(time.monotonic() - began))} ")
        sys.stderr.flush()
        shown = True
    if shown:
        sys.stderr.write("\r\x1b[2K")
        sys.stderr.flush()
