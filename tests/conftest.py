"""What all tests share: helpful assertions in the contract suites, and no skip where a run has to be whole."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

pytest.register_assert_rewrite("komodod.testing")  # before anything imports it; a second time would be a warning

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a script that puts the run into the background has it so
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what we start would inherit it, and hear no Ctrl-C

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _whole((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _whole((yield))


def _whole(report: Report) -> Report:
    """Let a skip fail under `$CI`: what was meant to run there and did not has shown nothing."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but $CI is set: {report.longrepr}"
    return report
