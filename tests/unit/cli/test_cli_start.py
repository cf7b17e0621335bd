"""What the command line imports, what it says of itself, and how it ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import click
import pytest

from komodod import model
from komodod.api.views import Standing
from komodod.cli import choices
from komodod.cli.commands import root

HEAVY = (
    "aiohttp",
    "apscheduler",
    "asyncio",
    "fastapi",
    "pluggy",
    "pydantic",
    "rich",
    "starlette",
    "structlog",
    "uvicorn",
)
"""Rulings, 21; asyncio is heavy by itself, and a sign of the others."""


def loaded(*arguments: str, also: tuple[str, ...] = ()) -> list[str]:
    """Return which heavy modules a command line imports in a process of its own."""
    program = (
        "import sys\n"
        "from komodod.cli import main\n"
        "code = main(sys.argv[2:])\n"
        "found = [name for name in sys.argv[1].split(',') if name in sys.modules]\n"
        "print(code, *found, file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, ",".join((*HEAVY, *also)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    code, *found = done.stderr.splitlines()[-1].split()
    assert code == "0", done.stderr
    return found


def test_a_list_imports_none_of_what_the_daemon_needs(daemon: Any, make: Any) -> None:
    daemon.answers["GET /syncs"] = make.page(make.sync())
    assert loaded("sync", "list", also=("yaml", "komodod.model")) == []


def test_a_list_that_reads_a_configuration_imports_only_yaml_for_it(daemon: Any, make: Any, tmp_path: Any) -> None:
    (tmp_path / "k.yaml").write_text(f"api: {{socket: {daemon.socket}}}\n")
    daemon.answers["GET /syncs"] = make.page(make.sync())
    assert loaded("sync", "list", "--config", "k.yaml", also=("yaml",)) == ["yaml"]


@pytest.mark.parametrize("arguments", [("--help",), ("sync", "--help"), ("config", "--help"), ("--version",)])
def test_help_imports_no_more(arguments: tuple[str, ...]) -> None:
    assert loaded(*arguments) == []


# --- help ------------------------------------------------------------------------------------------------------------


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from leaves(inner, (*path, name))
    else:
        yield path, command


LEAVES = dict(leaves(root))


def test_every_command_of_the_design_is_there() -> None:
    assert {" ".join(path) for path in LEAVES} == {
        "run",
        *(f"config {verb}" for verb in ("check", "show", "schema", "reload")),
        *(f"sync {verb}" for verb in ("list", "show", "create", "edit", "check", "apply", "delete", "pause", "resume")),
        *(f"alert {verb}" for verb in ("list", "show")),
        *(f"notification {verb}" for verb in ("list", "show", "retry", "drop")),
        *(f"hook {verb}" for verb in ("list", "retry", "drop")),
        "event list",
        "plugin list",
        "reconcile",
        "status",
        "storage backup",
        "completion",
    }


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_says_what_it_does_with_an_example(komodod: Any, path: tuple[str, ...]) -> None:
    result = komodod(*path, "--help")
    assert result.code == 0
    assert (LEAVES[path].help or "").strip()
    assert f"Example:\n    komodod {' '.join(path)}" in result.out or "$(komodod completion bash)" in result.out


def test_what_changes_something_can_be_tried_dry() -> None:
    changing = [
        *(("sync", verb) for verb in ("create", "edit", "apply", "delete", "pause", "resume")),
        *((noun, verb) for noun in ("notification", "hook") for verb in ("retry", "drop")),
        ("config", "reload"),
        ("reconcile",),
    ]
    without = [path for path in changing if not any("--dry-run" in option.opts for option in LEAVES[path].params)]
    assert without == []


def test_the_help_names_the_exit_codes(komodod: Any) -> None:
    assert "78   the configuration is not valid" in komodod("--help").out


def test_the_version_is_told(komodod: Any) -> None:
    assert komodod("--version").out.startswith("komodod 0.")


def test_a_misspelt_command_is_wrong_usage(komodod: Any) -> None:
    assert komodod("sync", "lst").code == 2


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (choices.SYNC_STATES, model.SyncState),
        (choices.ORIGINS, model.Origin),
        (choices.SEVERITIES, model.Severity),
        (choices.APPLY_MODES, model.ApplyMode),
        (choices.DIFF_MODES, model.DiffMode),
        (choices.ALERT_KINDS, model.AlertKind),
        (choices.HOOK_CALL_STATES, model.HookCallState),
        (choices.NOTIFICATION_STATES, Standing),
        (choices.EVENT_KINDS, model.EventKind),
    ],
)
def test_options_take_the_words_of_the_model(words: tuple[str, ...], meant: type[StrEnum]) -> None:
    assert list(words) == [str(member) for member in meant]


# --- ends ------------------------------------------------------------------------------------------------------------


def test_an_unexpected_error_is_exit_2_with_its_trace(komodod: Any, daemon: Any) -> None:
    daemon.answers["GET /status"] = {"no": "status"}
    result = komodod("status")
    assert result.code == 2
    assert "Traceback" in result.err
    assert result.err.endswith("error: this is a fault of komodod's: KeyError('version')\n")


def test_ctrl_c_is_exit_130(daemon: Any, monkeypatch: pytest.MonkeyPatch, komodod: Any) -> None:
    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("komodod.cli.client.Client.get", lambda *_: interrupt(None))
    assert daemon.socket.exists()
    result = komodod("status")
    assert (result.code, result.out) == (130, "")
    assert "Traceback" not in result.err


def test_a_reader_that_goes_away_is_no_answer(daemon: Any, make: Any) -> None:
    daemon.answers["GET /syncs"] = make.page(*(make.sync(f"s{number}") for number in range(5000)))
    command = f"{sys.executable} -m komodod.cli sync list; echo $? >&2"
    piped = subprocess.run(
        ["bash", "-c", f"({command}) | head -n 1"], capture_output=True, text=True, timeout=20, check=True
    )
    assert piped.stdout.startswith("NAME")
    assert piped.stderr == "141\n"


@pytest.mark.parametrize("syncs", [1, 5000])
def test_a_full_disk_under_the_output_is_told_in_a_line(daemon: Any, make: Any, syncs: int) -> None:
    daemon.answers["GET /syncs"] = make.page(*(make.sync(f"s{number}") for number in range(syncs)))
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "komodod.cli", "sync", "list"]
        told = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
    assert told.returncode == 2
    assert told.stderr == "error: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(komodod: Any, shell: str) -> None:
    result = komodod("completion", shell)
    assert result.code == 0
    assert f"_KOMODOD_COMPLETE={shell}_complete" in result.out


def completed(words: str, process: Any) -> list[str]:
    count = len(words.split()) - (not words.endswith(" "))
    result = process(_KOMODOD_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(count))
    assert result.code == 0, result.err
    return [line.partition(",")[2] for line in result.out.splitlines() if line]


def test_a_shell_is_given_commands(process: Any) -> None:
    assert completed("komodod sync re", process) == ["resume"]


def test_a_shell_is_given_names_of_syncs(process: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /syncs"] = make.page(make.sync("web[1]"))
    assert completed("komodod sync show web[", process) == ["web[1]"]
    assert daemon.asked[0].query["name"] == ["web[[]*"]


def test_a_shell_is_given_no_names_where_no_daemon_is(process: Any) -> None:
    assert completed("komodod sync show w", process) == []
