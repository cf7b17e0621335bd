"""A directory that should be like a branch of a git repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from komodod.blocking import blocking
from komodod.errors import SourceError
from komodod.secrets import read_secret
from komodod.source import Source
from komodod.texts import tail
from komodod.tree import Opening, Patterns, Stop, Target, apply, check_places, observe, perform
from komodod_git.clone import Branch, Clone, DamagedError
from komodod_git.commands import Access, Git
from komodod_git.config import GitConfig
from komodod_git.origin import CommitOrigin, literal, parse
from komodod_git.shelf import Shelf

if TYPE_CHECKING:
    from pydantic import BaseModel

    from komodod.context import Context
    from komodod.model import Applied, Json, Observation

T = TypeVar("T")

Work = Callable[[Opening, Target, Stop], T]
"""What is done with an origin and a target, in a thread."""


class GitSource(Source):
    """Asks the remote repository first, fetches only what is new, and compares as `komodod.tree` does.

    The revision is the commit. An apply asks again, so it brings about what the branch points to by then.
    """

    Config = GitConfig

    def __init__(self, config: BaseModel, context: Context) -> None:
        super().__init__(config, context)
        self._config = cast("GitConfig", config)
        self._shelf = Shelf(context.state_dir)
        if context.sync_id is None:
            raise ValueError("a git source keeps a clone, and needs the id of its sync to name it by")
        self._sync_id = context.sync_id

    @classmethod
    def targets(cls, config: BaseModel) -> Sequence[Path]:
        return [cast("GitConfig", config).to]

    async def observe(self) -> Observation:
        return await self._carry_out(observe)

    async def apply(self, *, force: bool) -> Applied:
        return await self._carry_out(partial(apply, force=force))

    async def _carry_out(self, work: Work[T]) -> T:
        await blocking(check_places, None, self._config.to, self.context.state_dir)
        access = await blocking(self._access)
        async with self._shelf.using(self._sync_id) as place:
            git = Git(access, self._shelf.place)
            clone = Clone(place, git, Branch(self._config, git), self.context.log)
            try:
                return await self._attempt(clone, work)
            except DamagedError as error:
                self.context.log.warning("clone_damaged", error=tail(str(error)))
                await clone.discard()
            try:
                return await self._attempt(clone, work)
            except DamagedError as error:
                raise SourceError(
                    f"the clone of {access.shown} is damaged, also when made anew: {tail(str(error))}"
                ) from error

    async def _attempt(self, clone: Clone, work: Work[T]) -> T:
        commit = await clone.update()
        contents = parse(await clone.list(commit, self._config.path), Patterns(self._config.ignore))
        left_out = [*self._config.ignore, *map(literal, contents.submodules)]
        target = Target(
            place=self._config.to, sync_id=self._sync_id, prune=self._config.prune, ignore=Patterns(left_out)
        )
        opening = partial(CommitOrigin.open, clone.git, commit, contents.entries)
        return await perform(partial(work, opening, target))

    def _access(self) -> Access:
        if self._config.token_file is None:
            return Access.build(self._config, None)
        try:
            token = read_secret(self._config.token_file)
        except ValueError as error:
            raise SourceError(str(error)) from error
        return Access.build(self._config, token.get_secret_value())


def locate(source: Mapping[str, Json], sync_id: str) -> Target:
    """Return the target of a sync that is gone; `source` is its mapping, as it was stored.

    Not validated again: files that it names, with a token or key, may be gone as well.
    """
    return Target(place=Path(source["to"]), sync_id=sync_id, ignore=Patterns(source.get("ignore", ())))
