"""A channel that is away, and what brings its messages there once it is back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from komodod.testing.sink import Sink
    from tests.acceptance.conftest import Daemon


@pytest.fixture
def refused(daemon: Daemon, site: Path, sink: Sink) -> Daemon:
    """A daemon, and a sink that wants nothing of it: the sync is pending, and not shown."""
    source = {"type": "directory", "from": str(site), "to": str(daemon.directory / "web")}
    return daemon.configure(
        notifiers=[{"name": "ops", "type": "webhook", "url": sink.url}],
        routes=[{"name": "all", "notify": ["ops"]}],
        syncs=[{"name": "web", "source": source, "every": "1h"}],
    )


def shown(sink: Sink) -> None:
    """Wait until the message of the sync stands, and nothing beside it."""
    sink.wait(lambda sink: [data["alerts"][0]["sync"] for data in sink.standing().values()] == ["web"])


def test_a_reload_sends_what_the_parked_notifier_still_has_to_say(refused: Daemon, sink: Sink) -> None:
    sink.answer(410)
    refused.start()
    refused.until(lambda: "parked" in refused.run("status", "--check").stdout)
    sink.answer(204)
    refused.cli("config", "reload")
    shown(sink)
    refused.until(lambda: refused.run("status", "--check").returncode == 0)


def test_a_start_sends_what_waited_for_the_channel(refused: Daemon, sink: Sink) -> None:
    sink.answer(503, retry_after="3600")
    refused.start()
    refused.until(lambda: "does not answer" in refused.run("status", "--check").stdout)
    refused.end()
    sink.answer(204)
    refused.start()
    shown(sink)


def test_a_retry_by_hand_is_made_at_once(refused: Daemon, sink: Sink) -> None:
    sink.answer(503, retry_after="3600")
    refused.start()
    refused.until(lambda: "does not answer" in refused.run("status", "--check").stdout)
    sink.answer(204)
    (row,) = refused.json("notification", "list")
    refused.cli("notification", "retry", row["id"])
    shown(sink)
