from __future__ import annotations

import asyncio
import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from komodod.errors import SourceError
from komodod.model import Change
from komodod.testing.sources import SYNC_ID, apply, observe, source_context
from komodod_command import CommandSource

if TYPE_CHECKING:
    from pathlib import Path

    from komodod.model import Applied, Observation


@pytest.fixture
def look(tmp_path: Path) -> Any:
    def run(script: str, **keys: Any) -> Observation:
        config = {"shell": True, "cwd": str(tmp_path), "check": script, **keys}
        return asyncio.run(observe(CommandSource, config, source_context(tmp_path / "state")))

    return run


@pytest.fixture
def act(tmp_path: Path) -> Any:
    def run(script: str | None, *, force: bool = False, **keys: Any) -> Applied:
        config = {"shell": True, "cwd": str(tmp_path), "check": "true", "apply": script, **keys}
        return asyncio.run(apply(CommandSource, config, source_context(tmp_path / "state"), force=force))

    return run


def report(*changes: dict[str, Any], **keys: Any) -> str:
    return f"cat <<'END'\n{json.dumps({**keys, 'changes': changes})}\nEND\n"


VM = {"action": "create", "kind": "resource", "name": "vm-7", "diff": "+ vm"}


# --- exit status and output


def test_exit_0_is_in_step_whatever_is_said(look: Any) -> None:
    assert look("echo nothing to do").changes == ()


def test_exit_2_is_pending_and_the_output_tells_what(look: Any) -> None:
    (change,) = look("printf '\\n  Plan: 1 to add\\n+ vm\\n'; exit 2").changes
    assert change == Change(action="update", kind="output", name="Plan: 1 to add", diff="Plan: 1 to add\n+ vm")


def test_exit_2_without_output_is_pending_all_the_same(look: Any) -> None:
    assert look("exit 2").changes == (Change(action="update", kind="output", name="exit status 2"),)


def test_a_report_lists_the_changes(look: Any) -> None:
    seen = look(report(VM, {"action": "delete", "kind": "resource", "name": "vm-8"}, revision="42") + "exit 2")
    assert seen.revision == "42"
    assert seen.changes == (Change(**VM), Change(action="delete", kind="resource", name="vm-8"))


def test_a_report_in_step_can_name_the_revision(look: Any) -> None:
    assert look(report(revision="42")).revision == "42"


def test_exit_0_with_a_report_of_changes_is_a_contradiction(look: Any) -> None:
    with pytest.raises(
        SourceError, match=r"^check contradicts itself: exit status 0 .* lists 1 changes; let it exit with 2$"
    ):
        look(report(VM))


def test_exit_2_with_an_empty_report_is_one_change_without_a_name(look: Any) -> None:
    seen = look(report(revision="42") + "exit 2")
    assert seen.revision == "42"
    assert seen.changes == (Change(action="update", kind="output", name="exit status 2"),)


@pytest.mark.parametrize(
    "output",
    [
        '{"changes": [{"action": "create"}]}',
        '{"changes": [], "more": 1}',
        '{"revision": 42, "changes": []}',
        '{"changes": [{"action": "a", "kind": "b", "name": " "}]}',
        '{"changes": []} and more',
        '["changes"]',
        '{"changes": [{"action": "a", "kind": "b", "name": "\\ud800"}]}',
    ],
)
def test_what_is_not_exactly_a_report_is_text(look: Any, output: str) -> None:
    (change,) = look(f"cat <<'END'\n{output}\nEND\nexit 2").changes
    assert (change.kind, change.name) == ("output", output)


def test_names_in_a_report_are_made_one_line(look: Any) -> None:
    (change,) = look(report({**VM, "name": "\x1b[31ma\nb\u202ec\x00"}) + "exit 2").changes
    assert change.name == "a b c"


@pytest.mark.parametrize("status", [1, 3, 126, 127, 255])
def test_any_other_status_is_an_error_with_the_end_of_what_was_said(look: Any, status: int) -> None:
    with pytest.raises(SourceError, match=rf"^the check command exited with status {status}: no plan; no state$"):
        look(f"echo out; echo; echo 'no plan' >&2; echo '  no state.' >&2; exit {status}")


def test_without_errors_the_end_of_the_output_is_told(look: Any) -> None:
    with pytest.raises(SourceError, match=r"status 1: it broke$"):
        look("echo it broke; exit 1")


def test_a_signal_is_told_by_its_name(look: Any) -> None:
    with pytest.raises(SourceError, match=r"^the check command was killed by SIGSEGV$"):
        look("kill -SEGV $$")


def test_a_long_complaint_is_cut_from_the_front(look: Any) -> None:
    with pytest.raises(SourceError) as caught:
        look("seq -s ' ' 100000 >&2; exit 1")
    assert len(str(caught.value)) < 400
    assert str(caught.value).endswith(" 99999 100000")


# --- bounds


def test_a_check_that_hangs_is_killed_at_its_timeout(look: Any) -> None:
    started = time.monotonic()
    with pytest.raises(
        SourceError, match=r"^the check command did not end within 0\.3s and was killed; see `timeout`$"
    ):
        look("sleep 1000", timeout=0.3)
    assert time.monotonic() - started < 5


def test_a_check_that_prints_a_hundred_megabytes_is_cut(look: Any) -> None:
    (change,) = look("echo Plan; yes | head -c 100000000; exit 2", max_output=4096).changes
    assert change.name == "Plan"
    assert len(change.diff) < 4200
    assert change.diff.endswith("… the rest is left out")


def test_a_report_that_does_not_fit_is_not_half_believed(look: Any) -> None:
    (change,) = look(report(*[VM] * 100) + "exit 2", max_output=1024).changes
    assert change.kind == "output"


def test_a_report_that_goes_on_beyond_what_was_read_is_not_believed(look: Any) -> None:
    (change,) = look(report(VM) + "printf '%2000s' ' '; echo but wait; exit 2", max_output=1024).changes
    assert change.kind == "output"


def test_half_a_secret_at_the_end_of_what_was_read_is_left_out(look: Any) -> None:
    script = 'echo Plan; printf "%01000d" 0; echo "$TOKEN$TOKEN$TOKEN"; exit 2'
    (change,) = look(script, max_output=1024, env={"TOKEN": "abcdefghijklmnop"}).changes
    assert change.diff == "Plan\n… the rest is left out"


def test_binary_output_becomes_text_that_any_store_takes(look: Any) -> None:
    (change,) = look("printf 'a\\000b\\377\\nmore'; exit 2").changes
    assert change.diff == "a\ufffdb\ufffd\nmore"


def test_colours_are_left_out(look: Any) -> None:
    (change,) = look("printf '\\033[1;31mPlan\\033[0m\\n'; exit 2").changes
    assert (change.name, change.diff) == ("Plan", "Plan")


# --- surroundings


def test_the_environment_is_what_was_asked_for(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGION", "north")
    monkeypatch.setenv("OTHER", "hidden")
    (change,) = look("env; exit 2", env={"A": "one"}, pass_env=["REGION", "ABSENT"]).changes
    names = {line.partition("=")[0] for line in change.diff.splitlines()}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"A", "REGION", "KOMODOD_SYNC", "KOMODOD_SYNC_ID"}


def test_path_home_and_language_are_passed_on_by_default(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/komodod")
    assert look("echo $HOME; exit 2").changes[0].name == "/home/komodod"
    assert look("echo $PATH; exit 2").changes[0].name == os.environ["PATH"][:200]


def test_a_command_is_told_which_sync_it_is_for(look: Any) -> None:
    assert look("echo $KOMODOD_SYNC $KOMODOD_SYNC_ID; exit 2").changes[0].name == f"website {SYNC_ID}"


def test_arguments_are_not_read_by_a_shell(look: Any) -> None:
    (change,) = (
        look(["printf", "%s", "$HOME; *"], shell=False).changes
        or look(["/bin/sh", "-c", 'printf %s "$1"; exit 2', "sh", "$HOME; *"], shell=False).changes
    )
    assert change.name == "$HOME; *"


def test_a_command_that_is_not_there_is_named(look: Any) -> None:
    with pytest.raises(
        SourceError, match=r"^the check command 'terrafrom' is not there or cannot be executed; looked for in PATH$"
    ):
        look(["terrafrom", "plan"], shell=False)


def test_a_script_that_is_not_there_is_named_with_its_place(look: Any, tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=rf"'./check.sh' is not there or cannot be executed; looked for in {tmp_path}$"
    ):
        look(["./check.sh"], shell=False)


def test_a_working_directory_that_is_not_there_is_named(look: Any, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"/gone: no such directory$"):
        look("true", cwd=str(tmp_path / "gone"))


# --- secrets


def test_values_of_the_environment_never_appear(look: Any, act: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INHERITED", "hunter2hunter2")
    secrets = {"env": {"TOKEN": "s3cr3ts3cr3t"}, "pass_env": ["PATH", "INHERITED"]}
    said = 'echo "with $TOKEN and $INHERITED"'
    for run, script in ((look, f"{said} >&2; exit 1"), (act, f"{said}; exit 1")):
        with pytest.raises(SourceError, match=r"with \*\*\* and \*\*\*$"):
            run(script, **secrets)
    (change,) = look(f"{said}; exit 2", **secrets).changes
    assert (change.name, change.diff) == ("with *** and ***",) * 2
    assert act(said, **secrets).summary == "with *** and ***"


def test_a_secret_is_masked_before_it_is_cut(look: Any) -> None:
    with pytest.raises(SourceError) as caught:
        look('echo "$TOKEN$(printf %0270d 0)" >&2; exit 1', env={"TOKEN": "secret" * 10})
    assert "secret" not in str(caught.value)
    assert "***000" in str(caught.value)


# --- applying


def test_an_apply_says_its_last_line(act: Any, tmp_path: Path) -> None:
    assert act("touch done; echo working; echo; echo '3 added'").summary == "3 added"
    assert (tmp_path / "done").exists()


def test_a_silent_apply_is_done(act: Any) -> None:
    assert act("true").summary == "done"


@pytest.mark.parametrize("status", [1, 2])
def test_any_status_but_0_is_a_failed_apply(act: Any, status: int) -> None:
    with pytest.raises(SourceError, match=rf"^the apply command exited with status {status}: locked$"):
        act(f"echo locked >&2; exit {status}")


def test_a_forced_apply_is_told_so(act: Any) -> None:
    assert act("echo force=$KOMODOD_FORCE").summary == "force="
    assert act("echo force=$KOMODOD_FORCE", force=True).summary == "force=1"


def test_without_an_apply_command_the_way_out_is_told(act: Any) -> None:
    with pytest.raises(SourceError, match="has no apply command; bring it in step by hand, or set `apply`"):
        act(None)
