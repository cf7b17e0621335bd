"""The cached clone of one sync: a bare repository, shallow at first, that holds what the branch has pointed to.

Whatever is wrong with it, it is thrown away and made anew; nothing in it is worth a repair.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from komodod.blocking import blocking
from komodod.errors import SourceError
from komodod_git.commands import Git, GitError
from komodod_git.failures import Cause, judge, tell
from komodod_git.shelf import clear

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from komodod_git.config import GitConfig

PACKS: Final = 50
"""Fetches after which a clone is made anew, because every one leaves a pack and nobody gathers them."""

_DUMB: Final = "dumb http transport does not support shallow"


class DamagedError(Exception):
    """The clone does not hold what it should; make it anew."""


class Branch:
    """The branch of a remote repository that a sync follows."""

    def __init__(self, config: GitConfig, git: Git) -> None:
        self.url, self.shown, self._git = git.access.address, git.access.shown, git
        self.name = config.branch or "HEAD"
        self.ref = "HEAD" if config.branch is None else f"refs/heads/{config.branch}"
        followed = hashlib.sha256(f"{config.url}\0{self.ref}".encode()).hexdigest()[:16]
        self.mark = f"refs/komodod/{followed}"
        """The ref of the clone that says what was fetched last; an edited sync may follow another branch in it."""

    async def look(self) -> str | None:
        """Ask which commit it points to, fetching nothing; None: there is no such branch.

        Raises:
            SourceError: it could not be told.
        """
        try:
            listed = await self._git.run("ls-remote", "--quiet", "--", self.url, self.ref)
        except GitError as error:
            raise SourceError(tell(error.stderr, self.shown)) from error
        for line in listed.decode("utf-8", "replace").splitlines():
            commit, _, ref = line.partition("\t")
            if ref == self.ref:
                return commit
        return None


class Clone:
    """One clone, at `place`."""

    def __init__(self, place: Path, git: Git, branch: Branch, log: FilteringBoundLogger) -> None:
        self.git = git.within(place)
        self._place, self._branch, self._log = place, branch, log

    async def update(self) -> str:
        """Bring the clone to what the branch points to, and return that commit.

        Raises:
            SourceError: there is no such branch, or it cannot be fetched.
            DamagedError: the clone is not fit for it.
        """
        commit, before = await self._branch.look(), await self._last()
        if commit is None:
            raise SourceError(self._explain_absence(before))
        if commit == before:
            return commit
        if len(list(self._place.glob("objects/pack/*.pack"))) >= PACKS:
            await self.discard()
            before = None
        if before is None:
            await self._make(commit)
        await self._fetch(shallow=before is None)
        after = await self._last()
        if after is None:
            raise DamagedError("what was fetched is not there")
        if before is not None and not await self._descends(before, after):
            self._log.warning("branch_rewritten", branch=self._branch.name, before=before, after=after)
        return after

    def _explain_absence(self, before: str | None) -> str:
        branch = self._branch
        if branch.ref == "HEAD":
            return f"the repository {branch.shown} is empty, or its HEAD names no branch; set `branch`"
        if before is None:
            return f"there is no branch {branch.name!r} at {branch.shown}"
        return f"the branch {branch.name!r} no longer exists at {branch.shown}; it was last seen at {before[:12]}"

    async def discard(self) -> None:
        """Throw the clone away.

        Raises:
            SourceError: it cannot be removed.
        """
        try:
            await blocking(clear, self._place)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise SourceError(f"cannot remove the clone {self._place} to make it anew: {reason}") from error

    async def _make(self, commit: str) -> None:
        algorithm = "sha256" if len(commit) == 64 else "sha1"
        await self._run("init", "--quiet", "--bare", "--template=", f"--object-format={algorithm}", str(self._place))

    async def _fetch(self, *, shallow: bool) -> None:
        branch, depth = self._branch, ["--depth=1"] if shallow else []
        words = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--update-shallow",
        ]
        try:
            await self.git.run(*words, *depth, "--", branch.url, f"+{branch.ref}:{branch.mark}")
        except GitError as error:
            if shallow and _DUMB in error.stderr:
                await self._fetch(shallow=False)
                return
            cause = judge(error.stderr)
            if cause is Cause.DAMAGED or (cause is Cause.UNKNOWN and not await self._is_whole()):
                raise DamagedError(error.stderr) from error
            raise SourceError(tell(error.stderr, branch.shown)) from error

    async def _is_whole(self) -> bool:
        return await self._succeeds("fsck", "--connectivity-only", "--no-dangling")

    async def _descends(self, before: str, after: str) -> bool:
        return await self._succeeds("merge-base", "--is-ancestor", before, after)

    async def _last(self) -> str | None:
        """Return the commit that was fetched last, if the clone still holds it."""
        try:
            found = await self.git.run("rev-parse", "--verify", "--quiet", f"{self._branch.mark}^{{commit}}")
        except GitError:
            return None
        return found.decode().strip()

    async def list(self, commit: str, path: str) -> bytes:
        """Return what a directory holds at a commit, as `git ls-tree -r -t -l -z` prints it.

        Raises:
            SourceError: there is no such directory.
            DamagedError: it cannot be read.
        """
        tree = await self._find(commit, path) if path else commit
        return await self._run("ls-tree", "-r", "-t", "-l", "-z", "--full-tree", tree)

    async def _find(self, commit: str, path: str) -> str:
        found = await self._run("ls-tree", "-z", "--full-tree", commit, "--", path)
        what = f"the path {path!r} of {self._branch.shown}, at {commit[:12]},"
        if not found:
            raise SourceError(f"{what} does not exist")
        kind, tree = found.split(b"\t")[0].decode().split()[1:]
        if kind != "tree":
            raise SourceError(f"{what} is a {'submodule' if kind == 'commit' else 'file'}, not a directory")
        return tree

    async def _run(self, *words: str) -> bytes:
        try:
            return await self.git.run(*words)
        except GitError as error:
            raise DamagedError(error.stderr) from error

    async def _succeeds(self, *words: str) -> bool:
        try:
            await self.git.run(*words)
        except GitError:
            return False
        return True
