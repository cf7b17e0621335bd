from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from komodod.logs import configure
from komodod.model import Severity
from komodod.redaction import Redactor


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def only(stream: io.StringIO) -> dict[str, Any]:
    (line,) = lines(stream)
    return line


def test_a_line_off_a_terminal_is_json_with_the_common_keys_first(stream: io.StringIO) -> None:
    log = configure(stream, Redactor())
    with structlog.contextvars.bound_contextvars(op_id="op1"):
        log.warning("sync_failed", sync="website")
    assert list(only(stream)) == ["timestamp", "level", "event", "op_id", "sync"]
    assert only(stream) | {"timestamp": 0} == {
        "timestamp": 0,
        "level": "warning",
        "event": "sync_failed",
        "op_id": "op1",
        "sync": "website",
    }


def test_time_stamps_are_utc(stream: io.StringIO) -> None:
    configure(stream, Redactor()).info("x")
    stamp = datetime.fromisoformat(only(stream)["timestamp"])
    assert abs((datetime.now(UTC) - stamp).total_seconds()) < 60
    assert only(stream)["timestamp"].endswith("Z")


def test_a_line_without_an_operation_says_so(stream: io.StringIO) -> None:
    configure(stream, Redactor()).info("x")
    assert only(stream)["op_id"] is None


def test_a_terminal_gets_text_for_people() -> None:
    terminal = Terminal()
    configure(terminal, Redactor(), environ={"NO_COLOR": "1"}).info("sync_pending", sync="website")
    assert "[info     ] sync_pending" in terminal.getvalue()
    assert "sync=website" in terminal.getvalue()
    assert "\x1b" not in terminal.getvalue()


def test_a_terminal_gets_colours_unless_it_asks_not_to() -> None:
    terminal = Terminal()
    configure(terminal, Redactor(), environ={}).info("sync_pending")
    assert "\x1b[" in terminal.getvalue()


def test_the_format_can_be_chosen(stream: io.StringIO) -> None:
    terminal = Terminal()
    configure(terminal, Redactor(), style="json").info("x")
    assert only(terminal)["event"] == "x"
    configure(stream, Redactor(), style="console", environ={}).info("x")
    assert "[info     ] x" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_what_is_below_the_level_is_not_shown(stream: io.StringIO) -> None:
    log = configure(stream, Redactor(), level="warning")
    log.info("hidden")
    logging.getLogger("library").info("hidden")
    log.warning("shown")
    assert [line["event"] for line in lines(stream)] == ["shown"]


def test_configuring_again_changes_the_level_of_loggers_that_exist(stream: io.StringIO) -> None:
    log = configure(stream, Redactor(), level="error").bind(sync="website")
    log.info("before")
    configure(stream, Redactor(), level="debug")
    log.debug("after")
    assert [line["event"] for line in lines(stream)] == ["after"]


def test_configuring_again_takes_away_no_other_handler(stream: io.StringIO) -> None:
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    configure(stream, Redactor())
    configure(stream, Redactor())
    assert other in logging.getLogger().handlers


@pytest.mark.parametrize("name", ["uvicorn.error", "apscheduler.scheduler", "aiohttp.client", "asyncio"])
def test_the_libraries_speak_through_the_same_chain(stream: io.StringIO, name: str) -> None:
    configure(stream, Redactor(["hunter2"]))
    logging.getLogger(name).warning("refused for %s", "hunter2")
    logging.getLogger(name).info("all is well")
    line = only(stream)
    assert (line["level"], line["event"], line["logger"]) == ("warning", "refused for ***", name)


def test_warnings_are_lines_too(stream: io.StringIO) -> None:
    configure(stream, Redactor())
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        configure(stream, Redactor())
        warnings.warn("old style", DeprecationWarning, stacklevel=1)
    assert "DeprecationWarning: old style" in only(stream)["event"]


def fail() -> None:
    password = "hunter2"  # noqa: F841  a local that must not be shown
    raise OSError("refused for swordfish")


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_traceback_is_shown_without_secrets_and_locals(stream: io.StringIO, style: str) -> None:
    log = configure(stream, Redactor(["swordfish"]), style=style, environ={})
    try:
        fail()
    except OSError:
        log.exception("apply_failed")
    assert "OSError: refused for ***" in stream.getvalue()
    assert "in fail" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_a_traceback_is_one_line_of_json(stream: io.StringIO) -> None:
    log = configure(stream, Redactor())
    try:
        fail()
    except OSError:
        log.exception("apply_failed")
    assert only(stream)["exception"].startswith("Traceback")


def test_secrets_are_masked_in_every_key(stream: io.StringIO) -> None:
    log = configure(stream, Redactor(["hunter2"]))
    log.info(
        "sent hunter2",
        url="https://ann:pw@example.org/hunter2",
        token="abc",
        nested={"headers": {"Authorization": "Bearer x"}},
        error=OSError("hunter2"),
        items={"hunter2"},
    )
    assert only(stream)["event"] == "sent ***"
    assert only(stream)["url"] == "https://***@example.org/***"
    assert only(stream)["token"] == "***"
    assert only(stream)["nested"] == {"headers": {"Authorization": "***"}}
    assert only(stream)["error"] == "***"
    assert only(stream)["items"] == ["***"]


def test_secrets_learnt_later_are_masked(stream: io.StringIO) -> None:
    redactor = Redactor()
    log = configure(stream, redactor)
    redactor.add("hunter2")
    log.info("sent", body="hunter2")
    assert only(stream)["body"] == "***"


def test_values_are_spelled_as_people_write_them(stream: io.StringIO) -> None:
    log = configure(stream, Redactor())
    at = datetime(2026, 1, 1, tzinfo=UTC)
    log.info("x", at=at, path=Path("/srv"), severity=Severity.CRITICAL, kinds=("a", "b"), size=5, part=0.5, ok=True)
    line = only(stream)
    assert (line["at"], line["path"], line["severity"]) == ("2026-01-01T00:00:00+00:00", "/srv", "critical")
    assert (line["kinds"], line["size"], line["part"], line["ok"]) == (["a", "b"], 5, 0.5, True)


def test_any_text_makes_a_valid_line(tmp_path: Path) -> None:
    for encoding in ("utf-8", "ascii"):
        path = tmp_path / encoding
        with path.open("w", encoding=encoding, errors="backslashreplace") as stream:
            configure(stream, Redactor()).info("x", name="zoë\nline two \udcff")
        assert json.loads(path.read_text(encoding))["name"] == "zoë\nline two \udcff"


def journal(path: Path, *, matches: bool = True) -> dict[str, str]:
    status = path.stat()
    return {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + (not matches)}"}


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)]
)
def test_under_journald_a_line_starts_with_its_priority(tmp_path: Path, level: str, priority: int) -> None:
    path = tmp_path / "journal"
    with path.open("w") as stream:
        log = configure(stream, Redactor(), level="debug", environ=journal(path))
        getattr(log, level)("x")
    assert path.read_text().startswith(f"<{priority}>{{")


def test_under_journald_each_line_of_a_text_for_people_has_its_priority(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with path.open("w") as stream:
        log = configure(stream, Redactor(), style="console", environ=journal(path))
        try:
            fail()
        except OSError:
            log.exception("apply_failed")
    assert len(path.read_text().splitlines()) > 4
    assert {line[:3] for line in path.read_text().splitlines()} == {"<3>"}


def test_a_stream_that_journald_does_not_read_has_no_priorities(tmp_path: Path) -> None:
    path = tmp_path / "redirected"
    with path.open("w") as stream:
        configure(stream, Redactor(), environ=journal(path, matches=False)).info("x")
    assert path.read_text().startswith("{")


class Gone(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


def test_a_stream_that_is_gone_stops_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Gone(), Redactor()).info("x")
    assert capsys.readouterr().err == ""


def test_a_value_that_cannot_be_shown_costs_nobody_the_line(stream: io.StringIO) -> None:
    class Faulty:
        def __repr__(self) -> str:
            raise ValueError

    logging.getLogger().handlers = []  # pytest's own would stumble
    configure(stream, Redactor()).info("x", value=Faulty())
    assert only(stream)["value"] == "<a Faulty that cannot be shown>"
