"""`komodod sync check`, `apply`, `pause` and `resume`."""

from __future__ import annotations

from typing import Any

import pytest

LATER = "2026-01-02T03:05:00Z"


def answer(sync: Any, **fields: Any) -> dict[str, Any]:
    return {"dry_run": False, "op_id": "op", "sync": sync, "done": True, **fields}


# --- check -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "fields", "code", "said"),
    [
        ("ok", {}, 0, "sync 'website' is in step"),
        ("pending", {"pending": 1}, 1, "sync 'website' is pending"),
        ("failed", {"error": "no such directory"}, 2, "sync 'website' could not be checked: no such directory"),
    ],
)
def test_a_check_ends_as_the_sync_is(
    komodod: Any, daemon: Any, make: Any, *, state: str, fields: Any, code: int, said: str
) -> None:
    daemon.answers["POST /syncs/website/check"] = answer(make.sync(state=state, **fields))
    result = komodod("sync", "check", "website")
    assert result.code == code
    assert result.out.splitlines()[0] == said


def test_a_pending_check_names_the_changes(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["POST /syncs/website/check"] = answer(make.pending())
    assert "  update file index.html\n  and 2 more\n" in komodod("sync", "check", "website").out


def test_a_check_that_takes_longer_is_waited_for(komodod: Any, daemon: Any, make: Any) -> None:
    waiting = make.sync(requests=3, requests_seen=2)
    daemon.answers["POST /syncs/website/check"] = (202, answer(waiting, done=False))
    daemon.answers["GET /syncs/id-of-website"] = [waiting, make.pending(requests=3, requests_seen=3)]
    result = komodod("sync", "check", "website", "-o", "json")
    assert (result.code, result.json["sync"]["pending"], result.json["done"]) == (1, 3, True)
    assert daemon.lines() == ["POST /syncs/website/check", *["GET /syncs/id-of-website"] * 2]


def test_a_sync_that_is_deleted_while_it_is_waited_for_is_an_error(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["POST /syncs/website/check"] = answer(make.sync(requests=1))
    result = komodod("sync", "check", "website")
    assert (result.code, result.err) == (2, "error: sync 'website' was deleted meanwhile\n")


def test_a_sync_that_is_paused_while_it_is_waited_for_is_an_error(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["POST /syncs/website/check"] = answer(make.sync(requests=1, paused=True))
    result = komodod("sync", "check", "website")
    assert result.code == 2
    assert "was paused meanwhile" in result.err


def test_the_worst_of_several_checks_is_the_answer(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["POST /syncs/a/check"] = answer(make.sync("a"))
    daemon.answers["POST /syncs/b/check"] = answer(make.pending("b"))
    assert komodod("sync", "check", "a", "b").code == 1
    daemon.refuse("POST /syncs/c/check", 404, "there is no sync 'c'")
    assert komodod("sync", "check", "a", "b", "c").code == 2


def test_several_are_all_asked_for_before_any_is_waited_for(komodod: Any, daemon: Any, make: Any) -> None:
    for name in ("a", "b"):
        daemon.answers[f"POST /syncs/{name}/check"] = answer(make.sync(name, requests=1))
        daemon.answers[f"GET /syncs/id-of-{name}"] = make.sync(name, requests=1, requests_seen=1)
    assert komodod("sync", "check", "a", "b").code == 0
    assert daemon.lines() == [
        *("POST /syncs/a/check", "POST /syncs/b/check"),
        *("GET /syncs/id-of-a", "GET /syncs/id-of-b"),
    ]


def test_who_does_not_wait_hears_that_it_will_be_done(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["POST /syncs/website/check"] = (202, answer(make.sync(requests=1), done=None))
    result = komodod("sync", "check", "website", "--no-wait")
    assert (result.code, result.out) == (0, "sync 'website' will be checked at once\n")
    assert daemon.asked[0].query == {}


def test_a_terminal_sees_that_something_goes_on(terminal: Any, daemon: Any, make: Any) -> None:
    waiting = make.sync(requests=1)
    daemon.answers["POST /syncs/website/check"] = answer(waiting)
    daemon.answers["GET /syncs/id-of-website"] = [*[waiting] * 3, make.sync(requests=1, requests_seen=1)]
    result = terminal("sync", "check", "website")
    assert "\r\x1b[2Kchecking website, 0s " in result.out
    assert "is in step" in result.out.rpartition("\x1b[2K")[2]


# --- apply -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def applying(daemon: Any, make: Any) -> Any:
    """A daemon that applies `website`; `ends(kind, sync, ...)` says how."""

    def ends(kind: str, sync: Any, reason: str | None = None, **data: Any) -> None:
        told = make.event(9, kind, op_id="op", at=LATER, reason=reason, data=data)
        daemon.answers["GET /events"] = make.page(make.event(10, "sync_applied", op_id="another's"), told)
        daemon.answers["GET /syncs/id-of-website"] = [make.pending(), sync]
        daemon.answers["POST /syncs/website/apply"] = answer(make.pending(apply_request={"op_id": "op"}))

    return ends


def test_an_apply_is_told_when_the_check_after_it_has_spoken(
    komodod: Any, daemon: Any, make: Any, applying: Any
) -> None:
    applying("sync_applied", make.sync(checked_at="2026-01-02T03:05:00.5Z"), summary="3 files written")
    result = komodod("sync", "apply", "website")
    assert result.code == 0
    assert result.out == "applied sync 'website': 3 files written\nsync 'website' is in step\n"
    assert daemon.asked[0].query["wait"] == ["20"]


def test_an_apply_that_left_changes_is_an_error(komodod: Any, make: Any, applying: Any) -> None:
    applying("sync_applied", make.pending(checked_at="2026-01-02T03:06:00Z"), summary="done")
    result = komodod("sync", "apply", "website")
    assert result.code == 2
    assert "sync 'website' is pending" in result.out


def test_an_apply_that_failed_says_why_even_if_the_check_after_it_forgot(
    komodod: Any, make: Any, applying: Any
) -> None:
    applying("apply_failed", make.pending(checked_at=LATER), reason="no permission for /srv/www")
    result = komodod("sync", "apply", "website")
    assert result.code == 2
    assert "the apply of sync 'website' failed: no permission for /srv/www" in result.out


def test_an_apply_that_failed_is_an_error_even_if_all_is_in_step_after_it(
    komodod: Any, make: Any, applying: Any
) -> None:
    applying("apply_failed", make.sync(checked_at=LATER), reason="the last step failed")
    assert komodod("sync", "apply", "website").code == 2


def test_an_apply_that_an_edit_overtook_is_an_error(komodod: Any, make: Any, applying: Any) -> None:
    applying("apply_discarded", make.pending(), reason="applied: done")
    result = komodod("sync", "apply", "website")
    assert result.code == 2
    assert "was overtaken by an edit: applied: done" in result.out


def test_an_apply_that_nothing_came_of_was_called_off(komodod: Any, daemon: Any, make: Any, applying: Any) -> None:
    applying("sync_applied", make.pending())
    daemon.answers["GET /events"] = make.page()
    result = komodod("sync", "apply", "website")
    assert result.code == 2
    assert "was called off" in result.err


def test_programs_get_the_outcome_of_an_apply(komodod: Any, make: Any, applying: Any) -> None:
    applying("sync_applied", make.sync(checked_at=LATER), summary="done")
    told = komodod("sync", "apply", "website", "-o", "json").json
    assert (told["outcome"], told["summary"], told["sync"]["state"]) == ("sync_applied", "done", "ok")


def test_force_goes_to_the_daemon(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["POST /syncs/website/apply"] = (202, answer(make.pending(), done=None))
    result = komodod("sync", "apply", "website", "--force", "--no-wait")
    assert (result.code, result.out) == (0, "sync 'website' will be applied\n")
    assert daemon.asked[0].query == {"force": ["true"]}


def test_a_dry_apply_shows_what_is_pending(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["POST /syncs/website/apply"] = answer(make.pending(), done=None)
    result = komodod("sync", "apply", "website", "--dry-run")
    assert result.code == 0
    assert result.out.startswith("sync 'website' would be applied; as of its last check:\n3 changes pending:\n")
    assert daemon.asked[0].query == {"dry_run": ["true"]}


# --- pause, resume ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "changed", "option", "said"),
    [
        ("pause", True, (), "paused sync 'website'"),
        ("pause", False, (), "sync 'website' is paused already"),
        ("resume", True, (), "resumed sync 'website'"),
        ("resume", False, (), "sync 'website' is not paused"),
        ("pause", True, ("--dry-run",), "sync 'website' would be paused"),
    ],
)
def test_a_switch_says_what_it_changed(
    komodod: Any, daemon: Any, make: Any, *, verb: str, changed: bool, option: tuple[str, ...], said: str
) -> None:
    daemon.answers[f"POST /syncs/website/{verb}"] = answer(make.sync(), changed=changed)
    assert komodod("sync", verb, "website", *option).out == f"{said}\n"
    assert ("dry_run" in daemon.asked[0].query) == bool(option)


def test_every_change_proposes_an_id_of_its_own(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["POST /syncs/website/pause"] = answer(make.sync(), changed=True)
    komodod("sync", "pause", "website", "website")
    first, second = (request.headers["X-Op-Id"] for request in daemon.asked)
    assert first != second
