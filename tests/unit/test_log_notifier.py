from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import structlog

from komodod.clock import SystemClock
from komodod.model import AlertKind, Severity
from komodod.testing.fakes import fake_context
from komodod.testing.notifiers import alert, message, withdrawal
from komodod_log import LogConfig, LogNotifier

if TYPE_CHECKING:
    from komodod.notifier import Message


def write(*messages: Message) -> list[Any]:
    log = structlog.testing.CapturingLogger()
    context = dataclasses.replace(fake_context("console", SystemClock()), log=log)
    subject = LogNotifier(LogConfig(), context)
    for each in messages:
        asyncio.run(subject.withdraw(each, None) if each.edition == "withdrawn" else subject.show(each, None))
    return log.calls


def test_what_is_shown_is_a_line_with_the_level_of_its_severity() -> None:
    (line,) = write(message(text="3 changes"))
    assert (line.method_name, line.args) == ("warning", ("notification_shown",))
    assert line.kwargs == {
        "sync": "website",
        "kind": "pending",
        "severity": "warning",
        "summary": "3 changes",
        "key": "kmd-1-a",
        "sequence": 1,
    }


def test_each_severity_has_a_level() -> None:
    assert [write(message(severity=severity))[0].method_name for severity in Severity] == [
        "info",
        "warning",
        "critical",
    ]


def test_updates_and_withdrawals_are_lines_too() -> None:
    updated, withdrawn = write(message(sequence=2), withdrawal(sequence=3))
    assert updated.args == ("notification_updated",)
    assert (withdrawn.method_name, withdrawn.args) == ("info", ("notification_withdrawn",))
    assert withdrawn.kwargs["reason"] == "the sync was deleted"
    assert withdrawn.kwargs["sync"] == "website"


def test_several_alerts_are_one_line() -> None:
    both = (alert(summary="3 changes"), alert(summary="no answer", kind=AlertKind.FAILED))
    (line,) = write(message(alerts=both))
    assert (line.kwargs["kind"], line.kwargs["summary"]) == ("pending,failed", "3 changes; no answer")


def test_without_alerts_the_title_says_what_there_is_to_say() -> None:
    (line,) = write(dataclasses.replace(withdrawal(), alerts=()))
    assert line.kwargs["summary"] == withdrawal().title


def test_a_possible_repetition_is_marked() -> None:
    (line,) = write(message(repetition=True))
    assert line.kwargs["repetition"] is True
