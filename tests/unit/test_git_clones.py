"""The cached clone: what it survives, when it is made anew, and how it goes."""

from __future__ import annotations

import asyncio
import dataclasses
import fcntl
import os
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import komodod_git
from komodod.errors import SourceError, TemporaryError
from komodod.model import Origin, Spec, Sync
from komodod.storage import Batch, NameFree, PutSync
from komodod.testing.fakes import NoConfig, fake_context
from komodod.testing.memory import MemoryStorage
from komodod.testing.simulation import SimulatedClock
from komodod.testing.sources import SYNC_ID, deleted, observe, source_context
from komodod.tree.locks import take_file
from komodod_git import CloneHasSync, GitSource, TombstoneIsYoung
from komodod_git.clone import PACKS
from komodod_git.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from komodod.context import Context
    from komodod.invariant import Invariant

OTHER = "11111111-2222-3333-4444-555555555555"


# --- damage


def empty_it(clone: Path) -> None:
    for path in clone.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def lose_head(clone: Path) -> None:
    (clone / "HEAD").unlink()


def lose_packs(clone: Path) -> None:
    for path in clone.glob("objects/pack/*"):
        path.unlink()


def scribble_over_packs(clone: Path) -> None:
    for path in clone.glob("objects/pack/*.pack"):
        path.chmod(0o600)
        data = path.read_bytes()
        path.write_bytes(data[:12] + b"scribble" * ((len(data) - 32) // 8) + data[-20:])


def cut_packs(clone: Path) -> None:
    for path in clone.glob("objects/pack/*.pack"):
        path.chmod(0o600)
        os.truncate(path, 20)


def break_refs(clone: Path) -> None:
    for path in (clone / "refs/komodod").iterdir():
        path.write_text("0" * 40 + "\n")


def become_a_file(clone: Path) -> None:
    shutil.rmtree(clone)
    clone.write_text("not a directory")


@pytest.mark.parametrize(
    "damage", [empty_it, lose_head, lose_packs, scribble_over_packs, cut_packs, break_refs, become_a_file]
)
def test_a_damaged_clone_is_made_anew(remote: Any, damage: Callable[[Path], None]) -> None:
    before = remote.observe()
    damage(remote.clone)
    assert remote.observe() == before
    remote.commit({"a": "new\n"})
    damage(remote.clone)
    remote.apply()
    assert (remote.target / "a").read_text() == "new\n"


def test_locks_of_a_killed_git_are_not_in_the_way(remote: Any) -> None:
    remote.observe()
    for path in remote.clone.glob("refs/komodod/*"):
        path.with_name(path.name + ".lock").touch()
    (remote.clone / "shallow.lock").touch()
    commit = remote.commit({"a": "new\n"})
    assert remote.observe().revision == commit


def test_a_remote_that_fails_does_not_cost_the_clone(remote: Any) -> None:
    remote.observe()
    inode = (remote.clone / "HEAD").stat().st_ino
    remote.place.rename(remote.place.with_name("away"))
    with pytest.raises(SourceError):
        remote.observe()
    remote.place.with_name("away").rename(remote.place)
    remote.observe()
    assert (remote.clone / "HEAD").stat().st_ino == inode


def test_a_clone_with_many_packs_is_made_anew(remote: Any) -> None:
    remote.observe()
    for number in range(PACKS):
        (remote.clone / f"objects/pack/pack-{number:040x}.pack").touch()
    remote.commit({"a": "new\n"})
    remote.observe()
    assert len(list(remote.clone.glob("objects/pack/*.pack"))) == 1


# --- history


def logged(remote: Any) -> list[str]:
    """Return the names of the warnings of one look."""
    said: list[str] = []

    class Log:
        def warning(self, event: str, **_keys: object) -> None:
            said.append(event)

    context = dataclasses.replace(source_context(remote.state), log=Log())  # type: ignore[arg-type]  # only warnings are given
    asyncio.run(observe(GitSource, remote.config(), context))
    return said


def test_a_force_push_is_followed_and_told_apart_from_a_push(remote: Any) -> None:
    remote.commit({"a": "1\n"})
    remote.observe()
    remote.commit({"a": "2\n"})
    assert logged(remote) == []
    remote.git("reset", "--quiet", "--hard", "HEAD~2")
    commit = remote.commit({"a": "3\n"})
    assert logged(remote) == ["branch_rewritten"]
    assert remote.observe().revision == commit
    assert logged(remote) == []


def test_a_branch_set_back_is_followed(remote: Any) -> None:
    first = remote.git("rev-parse", "HEAD")
    remote.commit({"a": "1\n"})
    remote.observe()
    remote.git("reset", "--quiet", "--hard", first)
    assert logged(remote) == ["branch_rewritten"]
    assert remote.observe().revision == first


def test_another_branch_in_the_same_clone_is_no_rewritten_history(remote: Any) -> None:
    remote.observe()
    remote.git("checkout", "--quiet", "--orphan", "other")
    commit = remote.commit({"a": "other\n"})
    assert remote.observe(branch="other").revision == commit
    assert remote.observe(branch="main").revision != commit


def test_a_clone_holds_no_more_history_than_it_was_there_for(remote: Any) -> None:
    for number in range(5):
        remote.commit({"a": f"{number}\n"})
    remote.observe(url=f"file://{remote.place}")
    heads = remote.git("--git-dir", str(remote.clone), "rev-list", "--count", "--all")
    assert heads == "1"


# --- the end of a sync


def end(remote: Any, source: dict[str, Any] | None = None, context: Context | None = None) -> None:
    event = deleted(source or {"type": "git", **remote.config()})
    asyncio.run(komodod_git.on_sync_deleted(event, context or source_context(remote.state)))


def left(remote: Any) -> list[str]:
    return sorted(path.name for path in remote.state.iterdir())


def test_the_clone_goes_with_its_sync(remote: Any) -> None:
    remote.observe()
    assert left(remote) == [SYNC_ID, f"{SYNC_ID}.lock"]
    end(remote)
    assert left(remote) == [f"{SYNC_ID}.deleted"]


def test_the_end_of_a_sync_may_be_told_twice(remote: Any) -> None:
    remote.observe()
    end(remote)
    end(remote)
    assert left(remote) == [f"{SYNC_ID}.deleted"]


def test_a_check_that_comes_too_late_does_not_make_the_clone_again(remote: Any) -> None:
    end(remote)
    with pytest.raises(SourceError, match=r"^the sync was deleted$"):
        remote.observe()
    assert left(remote) == [f"{SYNC_ID}.deleted"]


def test_a_check_that_waited_for_the_end_does_not_make_the_clone_again(remote: Any) -> None:
    remote.state.mkdir()
    lock = take_file(remote.state / f"{SYNC_ID}.lock")
    assert lock is not None

    async def main() -> None:
        check = asyncio.create_task(observe(GitSource, remote.config(), source_context(remote.state)))
        hook = asyncio.create_task(
            komodod_git.on_sync_deleted(deleted({"type": "git", **remote.config()}), source_context(remote.state))
        )
        await asyncio.wait({check, hook}, timeout=0.25)
        os.close(lock)
        await hook
        await asyncio.wait({check})

    asyncio.run(main())
    assert left(remote) == [f"{SYNC_ID}.deleted"]


def test_the_hook_waits_for_a_check_but_not_for_ever(remote: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    remote.observe()
    monkeypatch.setattr(komodod_git, "PATIENCE", 0.2)
    lock = take_file(remote.state / f"{SYNC_ID}.lock")
    assert lock is not None
    with pytest.raises(TemporaryError, match="is still in use by a check or apply"):
        end(remote)
    assert remote.clone.is_dir()
    os.close(lock)
    end(remote)
    assert not remote.clone.exists()


def test_a_clone_goes_also_if_its_sync_had_become_another(remote: Any, tmp_path: Path) -> None:
    remote.observe()
    end(remote, {"type": "directory", "from": str(tmp_path), "to": str(remote.target)})
    assert not remote.clone.exists()


def test_a_sync_of_another_type_leaves_nothing_here(remote: Any, tmp_path: Path) -> None:
    end(remote, {"type": "directory", "from": str(tmp_path), "to": str(remote.target)})
    assert left(remote) == []


def test_the_target_is_tidied_even_if_the_token_is_gone(remote: Any, tmp_path: Path) -> None:
    (remote.target / f".komodod-{SYNC_ID[:8]}-0123456789abcdef.tmp").write_text("torn")
    end(remote, {"type": "git", **remote.config(token_file=str(tmp_path / "gone"))})
    assert remote.paths() == []


def test_a_lock_whose_file_was_removed_while_it_was_waited_for_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flock = tmp_path / "x.lock", fcntl.flock

    def late(fd: int, operation: int) -> None:
        path.unlink()  # its holder is done, and removes it before it lets go
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    assert take_file(path) is None
    assert not path.exists()


# --- the pass


class Pass:
    """A store, a state directory with clones, and one invariant over them."""

    def __init__(self, state: Path, kind: type[Invariant]) -> None:
        self.clock = SimulatedClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.storage = MemoryStorage(NoConfig(), fake_context("memory", self.clock))
        state.mkdir(exist_ok=True)
        self.shelf = Shelf(state)
        self.invariant = kind(fake_context("git", self.clock, state))

    def keep(self, *sync_ids: str) -> None:
        """Put a clone on the shelf."""
        for sync_id in sync_ids:
            (self.shelf.clone(sync_id) / "objects").mkdir(parents=True)

    async def add(self, sync_id: str, kind: str = "git") -> None:
        now = self.clock.now()
        spec = Spec(source={"type": kind})
        sync = Sync(id=sync_id, name=sync_id, origin=Origin.API, spec=spec, created_at=now, updated_at=now)
        await self.storage.commit(Batch((NameFree(sync_id),), (PutSync(sync),)))

    async def found(self) -> list[str]:
        """Return the ids of all breaches, one page after the other, as many as were counted."""
        ids: list[str] = []
        after: str | None = None
        while True:
            page = await self.invariant.findings(self.storage, after, 1)
            ids += [finding.id for finding in page.items]
            after = page.next
            if after is None:
                assert (await self.invariant.census(self.storage)).found == len(ids)
                return ids

    async def mend(self) -> None:
        for finding in (await self.invariant.findings(self.storage, None, 100)).items:
            assert await self.invariant.repair(finding, self.storage) is None


def test_a_clone_without_a_sync_is_found_and_removed(tmp_path: Path) -> None:
    on = Pass(tmp_path / "state", CloneHasSync)

    async def main() -> None:
        on.keep(SYNC_ID, OTHER)
        await on.add(SYNC_ID)
        assert (await on.invariant.census(on.storage)).checked == 2
        assert await on.found() == [OTHER]
        await on.mend()
        assert await on.found() == []

    asyncio.run(main())
    assert sorted(path.name for path in on.shelf.place.iterdir()) == [SYNC_ID, f"{OTHER}.deleted"]


def test_a_clone_of_a_sync_that_is_no_git_sync_any_more_is_removed_without_a_tombstone(tmp_path: Path) -> None:
    on = Pass(tmp_path / "state", CloneHasSync)

    async def main() -> None:
        on.keep(SYNC_ID)
        await on.add(SYNC_ID, "directory")
        await on.mend()

    asyncio.run(main())
    assert list(on.shelf.place.iterdir()) == []


def test_a_store_that_does_not_answer_removes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on = Pass(tmp_path / "state", CloneHasSync)

    async def main() -> None:
        on.keep(SYNC_ID)
        (finding,) = (await on.invariant.findings(on.storage, None, 10)).items

        async def silent(_sync_id: str) -> Sync | None:
            raise OSError("gone")

        monkeypatch.setattr(on.storage, "get_sync", silent)
        for ask in (on.invariant.census(on.storage), on.invariant.findings(on.storage, None, 10)):
            with pytest.raises(OSError, match="gone"):
                await ask
        with pytest.raises(OSError, match="gone"):
            await on.invariant.repair(finding, on.storage)

    asyncio.run(main())
    assert on.shelf.clone(SYNC_ID).is_dir()


def test_a_sync_that_exists_by_the_time_of_the_repair_keeps_its_clone(tmp_path: Path) -> None:
    on = Pass(tmp_path / "state", CloneHasSync)

    async def main() -> None:
        on.keep(SYNC_ID)
        (finding,) = (await on.invariant.findings(on.storage, None, 10)).items
        await on.add(SYNC_ID)
        await on.invariant.repair(finding, on.storage)

    asyncio.run(main())
    assert on.shelf.clone(SYNC_ID).is_dir()


def test_a_deleted_sync_is_forgotten_after_a_day(tmp_path: Path) -> None:
    on = Pass(tmp_path / "state", TombstoneIsYoung)

    async def main() -> None:
        for sync_id, age in ((SYNC_ID, 23), (OTHER, 25)):
            on.shelf.bury(sync_id, on.clock.now() - timedelta(hours=age))
        assert (await on.invariant.census(on.storage)).checked == 2
        assert await on.found() == [OTHER]
        await on.mend()
        assert await on.found() == []

    asyncio.run(main())
    assert [path.name for path in on.shelf.place.iterdir()] == [f"{SYNC_ID}.deleted"]


def test_a_deleted_sync_that_a_backup_brought_back_is_remembered_no_longer(tmp_path: Path) -> None:
    on = Pass(tmp_path / "state", TombstoneIsYoung)

    async def main() -> None:
        for sync_id in (SYNC_ID, OTHER):
            on.shelf.bury(sync_id, on.clock.now())
        await on.add(SYNC_ID, "git")
        assert await on.found() == [SYNC_ID]
        await on.mend()
        assert await on.found() == []

    asyncio.run(main())
    assert [path.name for path in on.shelf.place.iterdir()] == [f"{OTHER}.deleted"]


def test_looking_at_an_empty_shelf_makes_nothing(tmp_path: Path) -> None:
    on = Pass(tmp_path / "state", CloneHasSync)
    on.shelf.place.rmdir()
    assert asyncio.run(on.found()) == []
    assert not on.shelf.place.exists()


def test_an_id_that_is_no_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a directory"):
        Shelf(tmp_path).clone("../elsewhere")


def test_a_deleted_sync_and_the_pass_agree(remote: Any) -> None:
    """After the hook the pass finds nothing."""
    remote.observe()
    end(remote)
    on = Pass(remote.state, CloneHasSync)
    assert asyncio.run(on.found()) == []
