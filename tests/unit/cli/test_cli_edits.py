"""`komodod sync create`, `edit` and `delete`."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from komodod.cli import declarations
from komodod.cli.syncedits import merge

CREATE = ("sync", "create", "website", "--source", "directory")


def made(make: Any) -> Any:
    return lambda request: (201, {"dry_run": False, "op_id": "o", "sync": make.sync(request.body["name"])})


# --- create ----------------------------------------------------------------------------------------------------------


def test_options_become_a_declaration(komodod: Any, daemon: Any, make: Any, tmp_path: Path) -> None:
    daemon.answers["POST /syncs"] = made(make)
    result = komodod(
        *(*CREATE, "--set", "from=./a=b", "--set", "to=/srv", "--set", "ignore=*.tmp", "--set", "ignore=*.bak"),
        *("--set-json", "prune=true", "--every", "5m", "--apply", "auto", "--severity", "critical"),
        *("--label", "team=web", "--fail-after", "3", "--timeout", "1m", "--diff", "none"),
    )
    assert result.out == "created sync 'website'; it is checked at once\n"
    assert daemon.asked[0].body == {
        "name": "website",
        "source": {
            "type": "directory",
            "from": "./a=b",
            "to": "/srv",
            "ignore": ["*.tmp", "*.bak"],
            "prune": True,
        },
        "every": "5m",
        "apply": "auto",
        "severity": "critical",
        "labels": {"team": "web"},
        "fail_after": 3,
        "timeout": "1m",
        "diff": "none",
        "base": str(tmp_path),
    }


def test_what_is_not_said_is_not_sent(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["POST /syncs"] = made(make)
    komodod(*CREATE)
    assert daemon.asked[0].body.keys() == {"name", "source", "base"}


def test_a_dry_run_asks_for_one(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["POST /syncs"] = made(make)
    assert komodod(*CREATE, "--dry-run").out == "would create sync 'website'\n"
    assert daemon.asked[0].query == {"dry_run": ["true"]}


def test_every_problem_of_a_declaration_is_a_line(komodod: Any, daemon: Any) -> None:
    problems = [{"where": "source.from", "message": "needed"}, {"where": None, "message": "odd"}]
    daemon.refuse("POST /syncs", 422, "source.from: needed (and 1 more)", *problems)
    result = komodod(*CREATE)
    assert (result.code, result.err) == (2, "error: source.from: needed\nodd\n")


@pytest.mark.parametrize("option", [("--set", "from"), ("--set", "=x"), ("--set-json", "a=[")])
def test_a_key_that_is_not_readable_is_wrong_usage(komodod: Any, daemon: Any, option: tuple[str, str]) -> None:
    result = komodod(*CREATE, *option)
    assert result.code == 2
    assert option[0] in result.err
    assert daemon.asked == []


def test_a_file_is_read_relative_to_itself(komodod: Any, daemon: Any, make: Any, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    text = "name: website\nsource: {type: directory, from: ./a, to: '${HOME}/b', prune: true}\nevery: 010\n"
    (tmp_path / "etc/web.yaml").write_text(text)
    daemon.answers["POST /syncs"] = made(make)
    assert komodod("sync", "create", "-f", "etc/web.yaml").code == 0
    assert daemon.asked[0].body == {
        "name": "website",
        "source": {"type": "directory", "from": "./a", "to": f"{tmp_path}/b", "prune": "true"},
        "every": "010",
        "base": str(tmp_path / "etc"),
    }


def test_a_list_in_a_file_is_judged_whole_before_any_is_made(
    komodod: Any, daemon: Any, make: Any, tmp_path: Path
) -> None:
    (tmp_path / "two.yaml").write_text("- {name: a, source: {type: x}}\n- {name: b, source: {type: x}}\n")
    daemon.answers["POST /syncs"] = [made(make), (422, {"detail": "b is wrong"})]
    result = komodod("sync", "create", "-f", "two.yaml")
    assert (result.code, result.out, result.err) == (2, "", "error: b is wrong\n")
    assert all(request.query == {"dry_run": ["true"]} for request in daemon.asked)


def test_a_list_in_a_file_is_made_and_told_as_a_list(komodod: Any, daemon: Any, make: Any, tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text("- {name: a, source: {type: x}}\n- {name: b, source: {type: x}}\n")
    daemon.answers["POST /syncs"] = made(make)
    result = komodod("sync", "create", "-f", "two.yaml", "-o", "json")
    assert [answer["sync"]["name"] for answer in result.json] == ["a", "b"]
    assert len(daemon.asked) == 4


def test_standard_input_is_a_file_too(process: Any, daemon: Any, make: Any, tmp_path: Path) -> None:
    daemon.answers["POST /syncs"] = made(make)
    result = process("sync", "create", "-f", "-", stdin="{name: a, source: {type: x}}")
    assert result.code == 0, result.err
    assert daemon.asked[0].body["base"] == str(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nname: b\n", "wrong.yaml:2:1: key 'name' stands twice"),
        ("source: {type: x}\n", "a sync is a mapping with a name"),
        ("[]\n", "a sync is a mapping with a name"),
        ("name: ${NOT_SET}\n", "the variable NOT_SET is not set"),
        ("name: [\n", "wrong.yaml:"),
    ],
)
def test_a_file_that_holds_no_sync_is_told_with_its_place(
    komodod: Any, daemon: Any, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "wrong.yaml").write_text(text)
    result = komodod("sync", "create", "-f", "wrong.yaml")
    assert result.code == 2
    assert said in result.err
    assert daemon.asked == []


def test_a_file_that_is_not_there_is_told(komodod: Any) -> None:
    result = komodod("sync", "create", "-f", "none.yaml")
    assert result.code == 2
    assert "none.yaml: cannot read it: no such file" in result.err


@pytest.mark.parametrize("arguments", [(), ("website", "-f", "x.yaml"), ("-f", "x.yaml", "--every", "5m")])
def test_a_name_or_a_file_is_needed_and_not_both(komodod: Any, arguments: tuple[str, ...]) -> None:
    result = komodod("sync", "create", *arguments)
    assert result.code == 2
    assert "give NAME and options, or --file and nothing else" in result.err


# --- edit ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def editable(daemon: Any, make: Any) -> Any:
    """A daemon whose sync `website` can be edited."""

    def patch(request: Any) -> Any:
        changed = len(request.body) > 1
        return {"dry_run": "dry_run" in request.query, "op_id": "o", "sync": make.sync(), "changed": changed}

    daemon.answers["GET /syncs/website"] = make.sync()
    daemon.answers["PATCH /syncs/website"] = patch
    return daemon


def test_options_change_only_what_they_say(komodod: Any, editable: Any, tmp_path: Path) -> None:
    result = komodod("sync", "edit", "website", "--every", "10m", "--severity", "info")
    assert result.out == "changed sync 'website'; it is checked at once\n"
    assert editable.asked[-1].body == {"every": "10m", "cron": None, "severity": "info", "base": str(tmp_path)}


def test_a_dry_edit_says_would(komodod: Any, editable: Any) -> None:
    assert komodod("sync", "edit", "website", "--every", "10m", "--dry-run").out == "would change sync 'website'\n"
    assert editable.asked[-1].query == {"dry_run": ["true"]}


def test_the_source_and_the_labels_are_sent_with_what_they_have(make: Any) -> None:
    described = {"source": {"prune": "true"}, "labels": {"tier": "1"}}
    assert merge(make.sync(labels={"team": "web", "old": "x"}), described, ("old",)) == {
        "source": {"type": "directory", "from": "/site", "to": "/srv/www", "prune": "true"},
        "labels": {"team": "web", "tier": "1"},
    }


def test_another_type_of_source_starts_anew(make: Any) -> None:
    described = {"source": {"type": "git", "url": "https://git.example.org/x"}}
    assert merge(make.sync(), described, ()) == described


def test_a_cron_line_takes_the_place_of_an_interval(make: Any) -> None:
    assert merge(make.sync(), {"cron": "0 4 * * *"}, ()) == {"every": None, "cron": "0 4 * * *"}


def test_without_options_and_terminal_there_is_nothing_to_do(komodod: Any, editable: Any) -> None:
    result = komodod("sync", "edit", "website")
    assert result.code == 2
    assert "there is no terminal for an editor" in result.err
    assert editable.asked == []


def editor(tmp_path: Path, script: str) -> str:
    path = tmp_path / "editor"
    path.write_text(f'#!/bin/sh\ncat "$1" >> {tmp_path}/seen\n{script}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_an_editor_changes_what_was_changed_in_it(terminal: Any, editable: Any, tmp_path: Path) -> None:
    script = editor(tmp_path, r"sed -i -e 's/^every: 5m/every: 10m/' -e '/^severity/d' -e 's/team: web/team: ops/' $1")
    result = terminal("sync", "edit", "website", EDITOR=script)
    assert result.code == 0, result.out
    assert editable.asked[-1].body == {
        "every": "10m",
        "severity": None,
        "labels": {"team": "ops"},
        "base": str(tmp_path),
    }
    assert "# Sync website. A key that is taken out" in (tmp_path / "seen").read_text()


def test_an_editor_left_alone_changes_nothing(terminal: Any, editable: Any, tmp_path: Path) -> None:
    result = terminal("sync", "edit", "website", EDITOR=editor(tmp_path, "true"))
    assert result.code == 0
    assert "sync 'website' stays as it is" in result.out
    assert [request.query for request in editable.asked] == [{"dry_run": ["true"]}]


def test_a_sync_that_may_not_be_edited_opens_no_editor(terminal: Any, daemon: Any, tmp_path: Path) -> None:
    daemon.refuse("PATCH /syncs/website", 409, "sync 'website' is declared in k.yaml:7")
    result = terminal("sync", "edit", "website", EDITOR=editor(tmp_path, "true"))
    assert result.code == 2
    assert "is declared in k.yaml:7" in result.out
    assert not (tmp_path / "seen").exists()


def test_a_mistake_in_the_editor_can_be_mended(terminal: Any, editable: Any, tmp_path: Path) -> None:
    once = (
        "if [ -e $1.again ]; then sed -i 's/: :/: 10m/' $1; else sed -i 's/every: 5m/every: :/' $1; fi; touch $1.again"
    )
    script = editor(tmp_path, f"set -- {tmp_path}/copy $1; cp $2 $1; {once}; cp $1 $2")
    result = terminal("sync", "edit", "website", typed=(("edit it again?", "y\n"),), EDITOR=script)
    assert result.code == 0, result.out
    assert "not YAML" in result.out
    assert editable.asked[-1].body["every"] == "10m"


def test_a_mistake_in_the_editor_can_be_given_up(terminal: Any, editable: Any, tmp_path: Path) -> None:
    script = editor(tmp_path, "echo '[' > $1")
    result = terminal("sync", "edit", "website", typed=(("edit it again?", "n\n"),), EDITOR=script)
    assert result.code == 2
    assert "nothing was changed" in result.out
    assert len(editable.asked) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"every": None, "cron": "0 4 * * 1-5", "timezone": "Europe/Paris", "timeout": 0.25},
        {"source": {"type": "command", "check": ["a b", "${X}"], "env": {"N": "010", "Y": "yes"}, "port": 8080}},
        {"labels": {"a": "null", "b": "~", "c": "1:30", "d": "# x", "e": ""}},
    ],
)
def test_a_text_to_edit_reads_as_what_it_was_written_from(make: Any, fields: dict[str, Any]) -> None:
    sync = make.sync(**fields)
    read = declarations.read_text(declarations.write_text(sync))
    assert {key: str(value) for key, value in read["source"].items()} == {k: str(v) for k, v in sync["source"].items()}
    assert read["labels"] == sync["labels"]
    assert (read.get("cron"), "every" in read) == (sync["cron"], sync["cron"] is None)


# --- delete ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def doomed(daemon: Any, make: Any) -> Any:
    """A daemon whose sync `website` can be deleted, with an alert and a message in one of two channels."""
    rows = [make.notification(), make.notification(notifier="mail", state="absent")]
    answer = {"dry_run": False, "op_id": "o", "sync": make.sync(), "alerts": [make.alert()], "notifications": rows}
    daemon.answers["DELETE /syncs/website"] = answer
    return daemon


def test_a_delete_says_what_went_with_it(komodod: Any, doomed: Any) -> None:
    result = komodod("sync", "delete", "website", "--yes")
    assert result.out.splitlines() == [
        "deleted sync 'website'",
        "  resolved alert pending, open since 2026-01-02 04:04:05+01:00: 3 changes pending",
        "  withdraws the message in ops, shown since 2026-01-02 04:04:05+01:00",
    ]
    assert [request.query for request in doomed.asked] == [{}]


def test_off_a_terminal_a_delete_does_not_ask_but_refuse(komodod: Any, doomed: Any) -> None:
    result = komodod("sync", "delete", "website")
    assert result.code == 2
    assert "say --yes" in result.err
    assert doomed.asked == []


def test_a_delete_shows_what_would_go_and_asks(terminal: Any, doomed: Any) -> None:
    result = terminal("sync", "delete", "website", typed=(("delete 1 sync?", "y\n"),))
    assert result.code == 0
    assert result.out.index("would resolve alert pending") < result.out.index("delete 1 sync?")
    assert result.out.index("delete 1 sync?") < result.out.index("deleted sync 'website'")
    assert [request.query for request in doomed.asked] == [{"dry_run": ["true"]}, {}]


@pytest.mark.parametrize(("answer", "code"), [("n\n", 2), ("\n", 2), ("\x03", 130)])
def test_a_delete_that_is_not_confirmed_deletes_nothing(terminal: Any, doomed: Any, answer: str, code: int) -> None:
    assert terminal("sync", "delete", "website", typed=(("delete 1 sync?", answer),)).code == code
    assert [request.query for request in doomed.asked] == [{"dry_run": ["true"]}]


def test_a_name_that_cannot_be_deleted_stops_all_before_the_question(terminal: Any, doomed: Any) -> None:
    doomed.refuse("DELETE /syncs/other", 404, "there is no sync 'other'")
    result = terminal("sync", "delete", "website", "other")
    assert result.code == 2
    assert "there is no sync 'other'" in result.out
    assert "delete 2 syncs?" not in result.out


def test_with_yes_one_that_is_missing_does_not_keep_the_others(komodod: Any, doomed: Any) -> None:
    doomed.refuse("DELETE /syncs/other", 404, "there is no sync 'other'")
    result = komodod("sync", "delete", "other", "website", "--yes")
    assert (result.code, result.err) == (2, "error: there is no sync 'other'\n")
    assert "deleted sync 'website'" in result.out


def test_json_of_one_delete_is_its_answer_and_of_several_a_list(komodod: Any, doomed: Any) -> None:
    assert komodod("sync", "delete", "website", "--yes", "-o", "json").json["sync"]["name"] == "website"
    assert len(komodod("sync", "delete", "website", "website", "--dry-run", "-o", "json").json) == 2
    assert len(doomed.asked) == 3
