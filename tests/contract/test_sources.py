from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from komodod.testing.sources import SourceContract, World
from komodod_command import CommandSource
from komodod_directory import DirectorySource
from komodod_git import GitSource

if TYPE_CHECKING:
    from pathlib import Path

    from komodod.model import Json


class Directories(World):
    source = DirectorySource

    def __init__(self, folder: Path) -> None:
        self.origin, self.target, self.hidden = folder / "site", folder / "www", folder / "hidden"
        self.origin.mkdir()
        (self.origin / "index.html").write_text("hello\n")
        shutil.copytree(self.origin, self.target, symlinks=True)

    def config(self) -> dict[str, Json]:
        return {"from": str(self.origin), "to": str(self.target), "prune": True}

    def drift(self) -> None:
        (self.origin / "index.html").write_text("hello again\n")
        (self.origin / "news\n\udc80").mkdir()
        (self.target / "old.html").write_text("gone\n")

    def spoil(self) -> None:
        self.origin.rename(self.hidden)

    def mend(self) -> None:
        self.hidden.rename(self.origin)


class Commands(World):
    """A check that looks whether a file is there, and an apply that makes it."""

    source = CommandSource

    def __init__(self, folder: Path) -> None:
        self.done, self.here = folder / "done", folder / "here"
        self.done.touch()
        self.here.mkdir()

    def config(self) -> dict[str, Json]:
        return {
            "check": "test -e ../done && exit 0; echo 'not done\x1b'; exit 2",
            "apply": ": > ../done",
            "shell": True,
            "cwd": str(self.here),
            "timeout": "10s",
        }

    def drift(self) -> None:
        self.done.unlink()

    def spoil(self) -> None:
        self.here.rename(self.here.with_name("there"))

    def mend(self) -> None:
        self.here.with_name("there").rename(self.here)


class Repositories(World):
    source = GitSource

    def __init__(self, folder: Path) -> None:
        self.repository, self.target, self.hidden = folder / "repository", folder / "www", folder / "hidden"
        self.target.mkdir()
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main", self.repository], check=True)
        self.commit("hello\n")
        (self.target / "index.html").write_text("hello\n")

    def commit(self, text: str) -> None:
        (self.repository / "index.html").write_text(text)
        git = ["git", "-C", str(self.repository), "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run([*git, "add", "--all"], check=True)
        subprocess.run([*git, "commit", "--quiet", "--message", "change"], check=True)

    def config(self) -> dict[str, Json]:
        return {"url": str(self.repository), "to": str(self.target), "prune": True}

    def drift(self) -> None:
        (self.repository / "news\n\udc80").write_text("news")
        self.commit("hello again\n")
        (self.target / "old.html").write_text("gone\n")

    def spoil(self) -> None:
        self.repository.rename(self.hidden)

    def mend(self) -> None:
        self.hidden.rename(self.repository)


class TestDirectorySource(SourceContract):
    def world(self, folder: Path) -> World:
        return Directories(folder)


class TestCommandSource(SourceContract):
    def world(self, folder: Path) -> World:
        return Commands(folder)


class TestGitSource(SourceContract):
    def world(self, folder: Path) -> World:
        return Repositories(folder)
