"""`komodod sync list` and `show`."""

from __future__ import annotations

from typing import Any


def test_a_list_is_filtered_by_the_daemon(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /syncs"] = make.page(make.sync())
    komodod(
        *("sync", "list", "--name", "web-*", "--state", "pending", "--origin", "config", "--not-paused"),
        *("--label", "team=web", "--label", "tier=1=x"),
    )
    query = dict(daemon.asked[0].query)
    assert query.pop("limit") == ["500"]
    assert query == {
        "name": ["web-*"],
        "state": ["pending"],
        "origin": ["config"],
        "paused": ["false"],
        "label": ["team=web", "tier=1=x"],
    }


def test_a_state_that_does_not_exist_is_wrong_usage(komodod: Any) -> None:
    result = komodod("sync", "list", "--state", "fine")
    assert result.code == 2
    assert "'unknown', 'ok', 'pending', 'failed'" in result.err


def test_a_label_without_a_value_is_wrong_usage(komodod: Any) -> None:
    result = komodod("sync", "list", "--label", "team")
    assert result.code == 2
    assert result.err == "error: --label 'team': write KEY=VALUE\n"


def test_a_sync_is_shown_with_alerts_and_changes(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /syncs/website"] = make.pending(alerts=[make.alert()], origin="config", declared="k.yaml:7")
    lines = komodod("sync", "show", "website").out.splitlines()
    assert lines[0] == "website: pending"
    assert "origin      config, k.yaml:7" in lines
    assert "source      type: directory, from: /site, to: /srv/www" in lines
    assert "schedule    every 5m" in lines
    assert lines[-4:] == [
        "alert pending, open since 2026-01-02 04:04:05+01:00: 3 changes pending",
        "3 changes pending:",
        "  update file index.html",
        "  and 2 more",
    ]


def test_a_failure_is_shown_with_its_count(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /syncs/website"] = make.sync(
        state="failed", error="no such directory", failures=2, cron="0 4 * * *"
    )
    out = komodod("sync", "show", "website").out
    assert "error       no such directory (2 failures in a row)\n" in out
    assert "schedule    cron 0 4 * * *\n" in out


def test_a_diff_is_asked_for_apart(komodod: Any, daemon: Any, make: Any) -> None:
    change = {"action": "update", "kind": "file", "name": "a", "diff": "@@ -1 +1 @@\n-old\n+new\n"}
    daemon.answers["GET /syncs/website"] = make.pending()
    daemon.answers["GET /syncs/id-of-website/changes"] = {"items": [change], "omitted": 2}
    result = komodod("sync", "show", "website", "--diff")
    assert result.out.endswith("update file a\n@@ -1 +1 @@\n-old\n+new\n2 changes more are not kept\n")
    assert komodod("sync", "show", "website", "--diff", "-o", "json").json["changes"]["items"] == [change]


def test_an_unknown_name_is_an_error_in_the_daemon_s_words(komodod: Any, daemon: Any) -> None:
    daemon.refuse("GET /syncs/web", 404, "there is no sync 'web'")
    result = komodod("sync", "show", "web")
    assert (result.code, result.out, result.err) == (2, "", "error: there is no sync 'web'\n")


def test_a_name_is_one_part_of_the_path(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /syncs/a%2Fb%3Fc"] = make.sync()
    assert komodod("sync", "show", "a/b?c").code == 0


def test_an_empty_name_reaches_nothing(komodod: Any, daemon: Any) -> None:
    result = komodod("sync", "delete", "", "--yes")
    assert result.code == 2
    assert "an empty name or id names nothing" in result.err
    assert daemon.asked == []
