"""The protocol of design D5, explored to the last state, and the traces that break it where a rule is left out."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from komodod.engine.decisions import outcomes
from komodod.storage import Batch, DropDoubt, PutDoubt
from komodod.testing.protocol import Budget, Rules, explore, follow, wrong

if TYPE_CHECKING:
    from komodod.engine.decisions.notifying import Say
    from komodod.model import Notification

WORLDS = [Budget(2, 1, 0, 1), Budget(2, 1, 1, 0), Budget(1, 1, 1, 1)]
if os.environ.get("KOMODOD_EXHAUSTIVE"):  # ten minutes and more
    WORLDS += [Budget(2, 1, 1, 1), Budget(2, 2, 1, 1), Budget(3, 1, 1, 0)]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("budget", WORLDS, ids=str)
def test_at_rest_the_channel_always_shows_exactly_what_it_should(budget: Budget) -> None:
    verdict = explore(budget)
    assert verdict.trace == ()
    assert verdict.states > 1000


def without_intent(
    row: Notification, say: Say, token: str, now: datetime, life: timedelta
) -> tuple[Notification, Batch]:
    intended, batch = outcomes.intend(row, say, token, now, life)
    return intended, Batch(batch.expect, tuple(write for write in batch.writes if not isinstance(write, PutDoubt)))


def without_settling(row: Notification, say: Say, token: str, now: datetime, receipt: Any) -> Batch:
    return outcomes.answered(row, replace(say, quiet=True), token, now, receipt)


def without_confessing(*_: object) -> Batch:
    return Batch()


def with_doubts_that_anyone_erases(row: Notification, say: Say, token: str, now: datetime, receipt: Any) -> Batch:
    batch = outcomes.answered(row, say, token, now, receipt)
    late = tuple(DropDoubt(w.notification_id, w.key, 10**6) if isinstance(w, DropDoubt) else w for w in batch.writes)
    return Batch(batch.expect, late)


BROKEN = {
    "intent": Rules(intend=without_intent),
    "settling": Rules(answered=without_settling),
    "confessing": Rules(confessed=without_confessing),
    "versions of doubts": Rules(answered=with_doubts_that_anyone_erases),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_the_exploration_finds_what_goes_wrong_without_a_rule(rule: str) -> None:
    trace = explore(Budget(2, 1, 1, 0), BROKEN[rule]).trace
    assert trace, f"the protocol holds without {rule}: then either the rule or this test is for nothing"


OPENED = ["the alert says x", "w0 claims", "w0 commits its intent", "the alert closes"]
TRACES = {
    "a crash after the send": [*OPENED, "w0 sends show k1", "show k1 lands", "w0 crashes"],
    "a raise that lands after the clear": [
        *OPENED,
        *("w0 sends show k1", "w0 crashes", "w1 claims", "w1 commits its intent", "w1 sends withdraw k1"),
        *("withdraw k1 lands", "show k1 lands", "w1 commits the answer"),
    ],
    "a worker that outlived its lease sends after the clear, and confesses before its answer is stored": [
        *OPENED,
        *("the lease of w0 ends", "w1 claims", "w1 commits its intent", "w1 sends withdraw k1", "withdraw k1 lands"),
        *("w0 sends show k1", "show k1 lands", "w0 confesses", "w1 commits the answer"),
    ],
    "the same, and it confesses after that": [
        *OPENED,
        *("the lease of w0 ends", "w1 claims", "w1 commits its intent", "w1 sends withdraw k1", "withdraw k1 lands"),
        *("w1 commits the answer", "w0 sends show k1", "show k1 lands", "w0 confesses"),
    ],
    "an alert that closes and opens again while its raise is in doubt": [
        *("the alert says x", "w0 claims", "w0 commits its intent", "w0 sends show k1", "w0 crashes"),
        *("the alert closes", "the alert says x", "w1 claims", "w1 commits its intent", "w1 sends show k1"),
        *("show k1 lands", "show k1 lands", "w1 commits the answer"),
    ],
}


@pytest.mark.parametrize("trace", TRACES.values(), ids=TRACES)
def test_the_known_traces_end_as_they_should(trace: list[str]) -> None:
    assert not wrong(follow(trace, budget=Budget(4, 2, 2, 2)))


def test_a_key_that_stands_is_used_again_until_its_withdrawal_is_settled() -> None:
    trace = [
        *("the alert says x", "w0 claims", "w0 commits its intent", "w0 sends show k1", "show k1 lands"),
        *("w0 commits the answer", "the alert closes", "w0 claims", "w0 commits its intent", "the alert says x"),
        *("w0 sends withdraw k1", "w0 gets no answer", "w0 leaves it in doubt", "w0 claims", "w0 commits its intent"),
        "w0 sends show k1",
    ]
    state = follow(trace)
    assert not wrong(state)
    assert {key for key, _ in state.channel} == {"k1"}


def test_after_a_settled_withdrawal_the_next_raise_has_another_key() -> None:
    shown = ["w0 claims", "w0 commits its intent"]
    trace = [
        *("the alert says x", *shown, "w0 sends show k1", "show k1 lands", "w0 commits the answer"),
        *("the alert closes", *shown, "w0 sends withdraw k1", "withdraw k1 lands", "w0 commits the answer"),
        "the alert says x",
    ]
    assert {key for key, _ in follow(trace).channel} == {"k2"}
