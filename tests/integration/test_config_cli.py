"""`komodod config`, run as a command, with the plugins that are installed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner, Result

from komodod.cli.config import config
from komodod.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

VALID = """
notifiers: [{name: console, type: log}]
routes: [{name: all, notify: console}]
syncs: [{name: site, source: {type: directory, from: site, to: /srv/www}}]
"""


@pytest.fixture
def valid(tmp_path: Path) -> Path:
    path = tmp_path / "komodod.yaml"
    path.write_text(VALID)
    return path


def run(*arguments: object, **environ: str | None) -> Result:
    return CliRunner(env={"KOMODOD_CONFIG": None, "HOME": "/home/ada", **environ}).invoke(
        config, [str(argument) for argument in arguments]
    )


def test_a_valid_configuration_is_ok(valid: Path) -> None:
    ran = run("check", valid)
    assert (ran.exit_code, ran.output) == (0, "ok: 1 sync, 1 notifier, 1 route, 1 file\n")


def test_each_problem_is_a_line_and_the_exit_code_is_78(valid: Path) -> None:
    valid.write_text(VALID.replace("type: log", "type: lgo") + "limits: {checks: 0}\n")
    ran = run("check", valid)
    assert ran.exit_code == 78
    assert ran.output.splitlines() == [
        f"{valid}:2:35: unknown notifier type 'lgo', did you mean 'log'?",
        f"{valid}:5:18: must be greater than or equal to 1, not '0'",
    ]


def test_a_program_gets_the_problems_as_json(valid: Path) -> None:
    valid.write_text("lgo: {}\n")
    ran = run("check", valid, "-o", "json")
    assert json.loads(ran.output) == {
        "ok": False,
        "files": [],
        "syncs": None,
        "problems": [{"file": str(valid), "line": 1, "column": 1, "message": "unknown key 'lgo', did you mean 'log'?"}],
    }


def test_a_file_that_is_not_there_is_a_problem_without_a_place(tmp_path: Path) -> None:
    ran = run("check", tmp_path / "absent.yaml")
    assert (ran.exit_code, ran.output) == (78, f"{tmp_path}/absent.yaml: cannot read it: no such file or directory\n")


def test_a_broken_plugin_that_the_configuration_names_is_named(valid: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    (folder / "pager.py").write_text("import nothing_of_this_name\n")
    valid.write_text("plugins: {path: [plugins]}\nnotifiers: [{name: ops, type: pager}]\n")
    ran = run("check", valid)
    assert ran.exit_code == 78
    assert (
        f"{valid}:2:31: no notifier of type 'pager': plugin 'pager': its import raised ModuleNotFoundError"
        in ran.output
    )


def test_a_plugin_folder_that_is_not_there_is_a_problem_at_its_place(valid: Path) -> None:
    valid.write_text("plugins: {path: [absent]}\n")
    ran = run("check", valid)
    assert ran.exit_code == 78
    assert ran.output.startswith(f"{valid}:1:18: ")


@pytest.mark.parametrize("how", ["argument", "option", "environment"])
def test_the_file_can_be_named_in_three_ways(valid: Path, how: str) -> None:
    arguments: dict[str, list[object]] = {"argument": [valid], "option": ["--config", valid], "environment": []}
    named = str(valid) if how == "environment" else None
    assert run("check", *arguments[how], KOMODOD_CONFIG=named).exit_code == 0


def test_a_file_that_is_named_twice_is_a_mistake_of_use(valid: Path) -> None:
    assert run("check", valid, "--config", valid).exit_code == 2


def test_what_is_in_effect_is_shown_with_its_origins(valid: Path) -> None:
    ran = run("show", valid)
    assert ran.exit_code == 0
    assert f"  - name: site  # {valid}:4\n" in ran.output
    assert "  checks: 8  # default\n" in ran.output
    assert yaml.safe_load(ran.output)["syncs"][0]["source"]["to"] == "/srv/www"
    assert "#" not in run("show", valid, "--no-origins").output


def test_what_is_in_effect_is_shown_to_programs(valid: Path) -> None:
    shown = json.loads(run("show", valid, "-o", "json").output)
    assert shown["settings"]["syncs"][0]["name"] == "site"
    assert shown["origins"]["syncs.0.name"] == f"{valid}:4"


def test_an_invalid_configuration_cannot_be_shown(valid: Path) -> None:
    valid.write_text("lgo: {}\n")
    assert isinstance(run("show", valid).exception, ConfigError)


def test_what_is_shown_is_valid(valid: Path) -> None:
    valid.write_text(run("show", valid).output)
    assert run("check", valid).exit_code == 0


def test_the_schema_has_the_plugins_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = json.loads(run("schema").output)
    types = {each["properties"]["type"]["const"] for each in made["properties"]["notifiers"]["items"]["oneOf"]}
    assert {"log", "webhook"} <= types
