"""Syncs that people make keep out of each other's targets, as those of a file do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Daemon


def create(daemon: Daemon, site: Path, name: str, target: str) -> tuple[int, str]:
    """Make a sync and return the exit code and what was said of errors."""
    settings = ("--set", f"from={site}", "--set", f"to={daemon.directory / target}")
    done = daemon.run("sync", "create", name, "--source", "directory", *settings)
    return done.returncode, done.stderr


@pytest.mark.parametrize("target", ["www", "www/sub", "."])
def test_a_sync_is_not_made_on_the_target_of_another(daemon: Daemon, site: Path, target: str) -> None:
    daemon.configure().start()
    assert create(daemon, site, "one", "www")[0] == 0
    code, error = create(daemon, site, "two", target)
    assert (code, error.endswith("touches the target of sync 'one'\n")) == (2, True)
    daemon.cli("sync", "delete", "one", "--yes")
    assert create(daemon, site, "two", "www")[0] == 0


def test_a_sync_is_not_moved_onto_the_target_of_another(daemon: Daemon, site: Path) -> None:
    daemon.configure().start()
    create(daemon, site, "one", "www")
    create(daemon, site, "two", "wiki")
    refused = daemon.run("sync", "edit", "two", "--set", f"to={daemon.directory / 'www'}")
    assert (refused.returncode, "touches the target of sync 'one'" in refused.stderr) == (2, True)
    daemon.cli("sync", "edit", "two", "--set", f"to={daemon.directory / 'wiki'}", "--every", "7m")
