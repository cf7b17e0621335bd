"""An apply that is killed at any of its steps, with SIGKILL, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SUBJECT = """
import asyncio, json, os, signal, sys
from pathlib import Path
from komodod.testing.sources import apply, source_context
from komodod_directory import DirectorySource

steps = fatal = 0

def deadly(function):
    def call(*args, **kwargs):
        global steps
        steps += 1
        if steps == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call

# Every call by which an apply changes anything.
for name in ("mkdir", "rmdir", "unlink", "rename", "symlink", "fchmod", "fsync"):
    setattr(os, name, deadly(getattr(os, name)))

def attempt(config):
    asyncio.run(apply(DirectorySource, config, source_context(Path(sys.argv[1]))))

for fatal, config in enumerate(json.load(sys.stdin), start=int(sys.argv[2])):
    child = os.fork()
    if not child:
        attempt(config)
        print(steps, flush=True)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert fatal == 0 or os.WTERMSIG(status) == signal.SIGKILL, (fatal, status)
"""


def prepare(site: Any) -> None:
    """Something of everything: new, changed, of another kind, to be pruned."""
    for place, text in ((site.origin, "new" * 50_000), (site.target, "old" * 30_000)):
        (place / "changed").mkdir()
        (place / "changed/a").write_text(text)
    (site.origin / "new").mkdir()
    (site.origin / "new/b").write_text("b")
    (site.origin / "new/link").symlink_to("b")
    (site.origin / "closed").mkdir(mode=0o555)
    (site.origin / "flat").write_text("flat")
    (site.target / "flat/was/deep").mkdir(parents=True)
    (site.target / "flat/was/deep/c").write_text("c")
    (site.target / "old").mkdir()
    (site.target / "old/d").write_text("d")


def run(sites: list[Any], first: int) -> str:
    """Apply to each site in a process of its own: the one to the first dies at step `first`, and so on; 0 is never."""
    configs = json.dumps([site.config(prune=True) for site in sites])
    command = [sys.executable, "-c", SUBJECT, str(sites[0].state), str(first)]
    return subprocess.run(command, input=configs, capture_output=True, text=True, check=True).stdout


def check_whole(site: Any) -> None:
    """Every file that has a name of its own holds all of the old text or all of the new one."""
    texts = {
        "changed/a": {"new" * 50_000, "old" * 30_000},
        "new/b": {"b"},
        "flat": {"flat"},
        "flat/was/deep/c": {"c"},
        "old/d": {"d"},
    }
    for path in site.paths():
        place = site.target / path
        if place.is_file() and not place.is_symlink() and not place.name.endswith(".tmp"):
            assert place.read_text() in texts[path]


@pytest.fixture
def victims(site: Any, tmp_path: Path) -> list[Any]:
    """As many sites as an apply has steps, all alike."""
    prepare(site)
    made = []
    for step in range(int(run([site], 0))):
        made.append(type(site)(tmp_path / f"from{step}", tmp_path / f"to{step}", site.state))
        made[-1].origin.mkdir()
        made[-1].target.mkdir()
        prepare(made[-1])
    return made


def test_a_killed_apply_leaves_whole_files_and_the_next_one_finishes(victims: list[Any]) -> None:
    assert len(victims) > 20
    run(victims, 1)
    for victim in victims:
        check_whole(victim)
        victim.apply(prune=True)
        assert victim.told(prune=True) == []
        assert victim.paths() == ["changed", "changed/a", "closed", "flat", "new", "new/b", "new/link"]
