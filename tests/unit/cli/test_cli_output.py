"""Tables for people, JSON and YAML for programs."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from komodod.cli import words
from komodod.durations import parse, spell


def test_off_a_terminal_a_table_is_plain_columns_in_local_time(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /syncs"] = make.page(make.sync(), make.pending("prod-terraform", paused=True, labels={}))
    assert komodod("sync", "list").out == (
        "NAME            STATE             PENDING  SEVERITY  SOURCE     ORIGIN  CHECKED                    "
        "NEXT CHECK                 LABELS\n"
        "website         ok                0        warning   directory  api     2026-01-02 04:04:05+01:00  "
        "2026-01-02 04:09:05+01:00  team=web\n"
        "prod-terraform  pending (paused)  3        warning   directory  api     2026-01-02 04:04:05+01:00  "
        "-                          -\n"
    )


def test_an_empty_table_says_so_beside_the_output(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /syncs"] = make.page()
    result = komodod("sync", "list")
    assert (result.code, result.out, result.err) == (0, "", "no syncs\n")


def test_json_is_one_array_of_all_pages(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /syncs"] = [make.page(make.sync("a"), after="a"), make.page(make.sync("b"))]
    assert komodod("sync", "list", "-o", "json").json == [make.sync("a"), make.sync("b")]
    assert [request.query.get("after") for request in daemon.asked] == [None, ["a"]]


def test_a_limit_is_kept_over_pages(komodod: Any, daemon: Any, make: Any) -> None:
    pages = [
        make.page(*[make.sync(str(number)) for number in range(500)], after="x"),
        make.page(make.sync("last"), after="y"),
    ]
    daemon.answers["GET /syncs"] = pages
    assert len(komodod("sync", "list", "-o", "json", "--limit", "501").json) == 501
    assert [request.query["limit"] for request in daemon.asked] == [["500"], ["1"]]


def test_json_of_nothing_is_an_empty_array(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /syncs"] = make.page()
    assert komodod("sync", "list", "-o", "json").out == "[]\n"


def test_yaml_says_the_same(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /syncs"] = make.page(make.sync())
    assert yaml.safe_load(komodod("sync", "list", "-o", "yaml").out) == [make.sync()]


@pytest.mark.parametrize("form", ["table", "json", "yaml"])
def test_no_text_of_the_outside_steers_the_terminal(komodod: Any, daemon: Any, make: Any, form: str) -> None:
    evil = "\x1b[2J\x07\x9b31m\u202e\r\nrm"
    daemon.answers["GET /syncs/website"] = make.sync(state="failed", error=evil, failures=1, labels={"a": evil})
    out = komodod("sync", "show", "website", "-o", form).out
    assert not set("\x1b\x07\x9b\u202e\r") & set(out)


def test_a_text_stays_on_its_line_of_a_table(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /notifications"] = make.page(make.notification(last_error="one\ntwo"))
    assert len(komodod("notification", "list").out.splitlines()) == 2


def test_a_locale_without_the_letters_is_no_failure(process: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /syncs"] = make.page(make.sync(labels={"team": "日本"}))
    result = process("sync", "list", PYTHONIOENCODING="latin-1")
    assert result.code == 0
    assert "team=\\u65e5\\u672c" in result.out
    assert process("sync", "list", "-o", "json", PYTHONIOENCODING="latin-1").json[0]["labels"] == {"team": "日本"}


# --- on a terminal ---------------------------------------------------------------------------------------------------


def test_a_terminal_gets_a_table_with_colours(terminal: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /syncs"] = make.page(make.pending())
    out = terminal("sync", "list").out
    assert "\x1b[33mpending" in out
    assert "website" in out


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colours_gets_none(terminal: Any, daemon: Any, make: Any, environ: dict[str, str]) -> None:
    daemon.answers["GET /syncs"] = make.page(make.pending())
    daemon.answers["GET /syncs/website"] = make.pending()
    out = terminal("sync", "list", **environ).out + terminal("sync", "show", "website", **environ).out
    assert "pending" in out
    assert "\x1b[3" not in out


def test_names_that_look_like_markup_are_shown_as_they_are(terminal: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /syncs"] = make.page(make.sync("[red]x[/red]"))
    assert "[red]x[/red]" in terminal("sync", "list").out


def test_ids_are_whole_on_a_narrow_terminal(terminal: Any, daemon: Any, make: Any) -> None:
    long = "5b2e7d10-93c4-4f5e-8a56-2c6f1f0d7e42"
    daemon.answers["GET /notifications"] = make.page(make.notification(id=long, last_error="x" * 100))
    assert long in terminal("notification", "list", COLUMNS="80").out


def test_only_the_last_column_is_folded_on_a_narrow_terminal(terminal: Any, plain: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /alerts"] = make.page(make.alert(summary="x" * 30))
    lines = plain(terminal("alert", "list", COLUMNS="40").out).splitlines()
    assert [line.split() for line in lines] == [
        ["ID", "SYNC", "KIND", "SEVERITY", "OPENED", "SUMMARY"],
        ["a1", "website", "pending", "warning", "2026-01-02", "04:04:05+01:00", "x" * 24],
        ["x" * 6],
    ]


def test_json_has_no_colours_on_a_terminal(terminal: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /syncs"] = make.page(make.pending())
    assert json.loads(terminal("sync", "list", "-o", "json").out) == [make.pending()]


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.25, 1.0, 59.9, 60.0, 90.0, 300.0, 3600.0, 5400.0, 90061.5, 172800.0])
def test_a_duration_is_spelt_as_everywhere(seconds: float) -> None:
    assert words.duration(seconds) == spell(seconds)
    assert parse(words.duration(seconds)) == seconds


def test_an_instant_is_local_with_its_offset_in_summer_too() -> None:
    assert words.instant("2026-07-01T12:00:00.9Z") == "2026-07-01 14:00:00+02:00"
    assert words.instant(None) == "-"


def test_a_count_has_its_plural() -> None:
    assert [words.count(number, "change") for number in (0, 1, 2)] == ["0 changes", "1 change", "2 changes"]


def test_fields_stand_below_one_another() -> None:
    assert words.fields([("id", "1"), ("error", "a\nb")]) == ["id     1", "error  a\n       b"]


def test_half_a_character_is_printable_when_spelt_out() -> None:
    assert words.printable("a\udc80\tb\x00") == "a\\udc80\\tb\\x00"
