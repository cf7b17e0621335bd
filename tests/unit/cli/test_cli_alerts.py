"""`komodod alert`, `notification` and `hook`."""

from __future__ import annotations

from typing import Any

import pytest

WHEN = "2026-01-02 04:04:05+01:00"
LATER = "2026-01-02T03:14:05Z"


# --- alerts ----------------------------------------------------------------------------------------------------------


def test_open_alerts_are_listed_without_a_column_for_their_end(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /alerts"] = make.page(make.alert())
    result = komodod("alert", "list", "--severity", "warning", "--sync", "web*", "--label", "team=web")
    assert result.out.splitlines()[0].split() == ["ID", "SYNC", "KIND", "SEVERITY", "OPENED", "SUMMARY"]
    query = dict(daemon.asked[0].query)
    assert query == {"severity": ["warning"], "sync": ["web*"], "label": ["team=web"], "limit": ["500"]}


def test_all_alerts_are_listed_with_how_they_ended(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /alerts"] = make.page(make.alert(resolved_at=LATER, resolution="deleted"))
    assert "2026-01-02 04:14:05+01:00 deleted" in komodod("alert", "list", "--all").out
    assert daemon.asked[0].query["all"] == ["true"]


def test_an_alert_is_shown_with_where_it_is_shown(komodod: Any, daemon: Any, make: Any) -> None:
    rows = [make.notification(), make.notification(id="n2", notifier="mail", state="in_doubt")]
    daemon.answers["GET /alerts/a1"] = make.alert(
        notifications=rows, reason="by ada", resolved_at=LATER, resolution="deleted"
    )
    lines = komodod("alert", "show", "a1").out.splitlines()
    assert lines[0] == "3 changes pending"
    assert "resolved  2026-01-02 04:14:05+01:00 deleted, by ada" in lines
    assert lines[-4:] == [
        "  update file index.html",
        "  and 2 more",
        "notification n1 in ops: shown",
        "notification n2 in mail: in_doubt",
    ]


# --- the story of a notification -------------------------------------------------------------------------------------


@pytest.fixture
def story(komodod: Any, daemon: Any, make: Any) -> Any:
    """Tell the story of a notification with these fields."""

    def tell(**fields: Any) -> list[str]:
        daemon.answers["GET /notifications/n1"] = make.notification(**fields)
        result = komodod("notification", "show", "n1")
        assert result.code == 0
        return list(result.out.splitlines())

    return tell


def test_one_that_stands_as_it_should_waits_for_nothing(story: Any) -> None:
    assert story() == [
        "notification n1: sync 'website' in ops",
        "wanted: to be shown: an open alert is routed here",
        f"standing: shown since {WHEN}",
        "waiting: for nothing; the channel shows what it should, as far as can be known",
    ]


def test_one_that_could_not_be_sent_says_how_often_why_and_until_when_it_waits(story: Any) -> None:
    line = {
        "at": "2026-01-02T03:04:05Z",
        "want": "show",
        "key": "k",
        "sequence": 1,
        "outcome": "failed",
        "error": "503",
    }
    lines = story(
        state="absent", attempts=3, last_error="503", waiting="retry", retry_at=LATER, observed=0, ledger=[line]
    )
    assert lines[2:] == [
        "standing: not shown",
        "attempts: 3 since the last success",
        "last error: 503",
        "waiting: retry, until 2026-01-02 04:14:05+01:00",
        "ledger, oldest first:",
        f"  {WHEN}  show #1 failed: 503",
    ]


def test_one_in_doubt_says_which_request_may_still_land(story: Any) -> None:
    doubt = {"key": "k1", "since": "2026-01-02T03:04:05Z", "until": LATER}
    lines = story(
        state="in_doubt", shown_since=None, doubts=[doubt], waiting="an unanswered request may still land", due_at=LATER
    )
    assert "standing: not known: a request had no answer that settles it" in lines
    assert (
        f"in doubt: a request of {WHEN} was not settled and may have its effect until 2026-01-02 04:14:05+01:00 (key k1)"
        in lines
    )
    assert lines[-1] == "waiting: an unanswered request may still land, until 2026-01-02 04:14:05+01:00"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"wanted": False}, "wanted: not to be shown: no open alert is left"),
        ({"dead": True}, "dead: it was given up; `komodod notification retry n1` tries it afresh"),
        (
            {"stranded": True},
            "stranded: notifier 'ops' is not configured any more; configure it again, or `komodod notification drop n1`",
        ),
        ({"version": 2}, "waiting: for a free worker"),
        ({"repeats": 2}, "repeats: 2 messages sent again although the first may stand"),
        ({"abandoned": 1}, "abandoned: 1 message may stand for ever; remove by hand what shows"),
        ({"state": "in_doubt", "doubts": []}, f"standing: shown since {WHEN}, as far as is known"),
    ],
)
def test_what_is_odd_is_said(story: Any, fields: Any, said: str) -> None:
    assert said in story(**fields)


# --- notifications and hook calls ------------------------------------------------------------------------------------


def test_notifications_are_listed_the_troubled_ones_by_their_trouble(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /notifications"] = make.page(make.notification(dead=True, wanted=False, last_error="410"))
    lines = komodod("notification", "list", "--attention", "--notifier", "ops", "--state", "shown").out.splitlines()
    assert lines[1].split() == ["n1", "ops", "website", "no", "dead", "shown", *WHEN.split(), "0", "410"]
    query = dict(daemon.asked[0].query)
    assert query == {"attention": ["true"], "notifier": ["ops"], "state": ["shown"], "limit": ["500"]}


def test_hook_calls_are_listed_and_absent_plugins_marked(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /hook-calls"] = make.page(make.hook_call(present=False))
    out = komodod("hook", "list", "--state", "dead", "--plugin", "git").out
    assert "git (absent)  on_sync_deleted  website  dead   12" in out
    assert daemon.asked[0].query == {"state": ["dead"], "plugin": ["git"], "limit": ["500"]}


@pytest.fixture
def kept(daemon: Any, make: Any) -> Any:
    """A daemon with a notification and a hook call that can be retried and dropped."""
    row = {"dry_run": False, "op_id": "o", "notification": make.notification()}
    call = {"dry_run": False, "op_id": "o", "hook_call": make.hook_call()}
    daemon.answers["POST /notifications/n1/retry"] = daemon.answers["DELETE /notifications/n1"] = row
    daemon.answers["POST /hook-calls/h1/retry"] = daemon.answers["DELETE /hook-calls/h1"] = call
    return daemon


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("notification", "retry", "n1"), "notification n1 (sync 'website' in ops) is tried afresh\n"),
        (
            ("notification", "retry", "n1", "--dry-run"),
            "notification n1 (sync 'website' in ops) would be tried afresh\n",
        ),
        (
            ("notification", "drop", "n1", "--yes"),
            "dropped notification n1 (sync 'website' in ops)\n  ops may go on showing it; remove it there by hand\n",
        ),
        (("hook", "retry", "h1"), "hook call h1 (on_sync_deleted of plugin 'git') is made at once\n"),
        (("hook", "drop", "h1", "--yes"), "dropped hook call h1 (on_sync_deleted of plugin 'git')\n"),
        (("hook", "drop", "h1", "--dry-run"), "would drop hook call h1 (on_sync_deleted of plugin 'git')\n"),
    ],
)
def test_what_went_wrong_can_be_retried_and_dropped(
    komodod: Any, kept: Any, arguments: tuple[str, ...], said: str
) -> None:
    assert komodod(*arguments).out == said
    assert ("dry_run" in kept.asked[0].query) == ("--dry-run" in arguments)


@pytest.mark.parametrize("arguments", [("notification", "drop", "n1"), ("hook", "drop", "h1")])
def test_nothing_is_dropped_without_a_yes(komodod: Any, terminal: Any, kept: Any, arguments: tuple[str, ...]) -> None:
    assert komodod(*arguments).code == 2
    assert terminal(*arguments, typed=(("[y/N]", "n\n"),)).code == 2
    assert kept.asked == []
    assert terminal(*arguments, typed=(("[y/N]", "y\n"),)).code == 0


def test_one_that_is_refused_does_not_keep_the_others(komodod: Any, kept: Any) -> None:
    kept.refuse("POST /notifications/n2/retry", 409, "a worker has it in hand")
    result = komodod("notification", "retry", "n2", "n1")
    assert (result.code, result.err) == (2, "error: a worker has it in hand\n")
    assert "n1 (sync 'website' in ops) is tried afresh" in result.out
