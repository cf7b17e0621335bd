"""The suite that proves a notifier, ours or a stranger's.

    class TestMine(NetworkedNotifierContract):
        def far_side(self, folder):
            return MyFarSide(folder)

`MyFarSide` is a `RemoteSide`: what the notifier speaks to, the real thing or a server on loopback that behaves like it.
Add `SearchingNotifierContract` for a notifier with `find()`, `ListingNotifierContract` for one with `shown()`; one that
sends nothing over a network has a `FarSide` and the plain `NotifierContract`. Every test is a plain function that wants
pytest's `tmp_path` and nothing else; no asyncio plugin is needed.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import dataclasses
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Self

import pytest
from pydantic import ValidationError

from komodod.clock import SystemClock
from komodod.errors import PermanentError, TemporaryError
from komodod.http import session
from komodod.model import Alert, AlertKind, Change, Resolution, Severity
from komodod.notifier import Message, Notifier, ReceiptClass, Traits
from komodod.testing.fakes import fake_context

if TYPE_CHECKING:
    from pathlib import Path

    from komodod.context import Context
    from komodod.model import Json

START = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
"""When the alerts of the suite begin."""

PATIENCE = 60.0
"""Seconds within which anything in the suite must have happened."""

HOSTILE = "ü☃𝄞 <b>&amp; *_~`[x](y) @all <!here> {{7*7}} %s \"' \\ \u2028 \x07 \udcff"
"""What texts hold in practice: other scripts, markup, mentions, templates, quotes, control characters, no text."""


def alert(name: str = "website", summary: str = "3 changes", **fields: object) -> Alert:
    """Return an open alert of a sync."""
    made = Alert(
        id=f"alert-{name}",
        sync_id=f"sync-{name}",
        sync_name=name,
        kind=AlertKind.PENDING,
        severity=Severity.WARNING,
        summary=summary,
        opened_at=START,
        updated_at=START,
        labels={"team": "web"},
        changes=1,
        headline=(Change(action="create", kind="file", name="index.html", diff="+ a secret"),),
    )
    return dataclasses.replace(made, **fields)  # type: ignore[arg-type]  # fields of Alert


def message(key: str = "kmd-1-a", sequence: int = 1, text: str = "3 changes", **fields: object) -> Message:
    """Return what a channel should show; the first of a key is `opened`, the others are `updated`."""
    digest = hashlib.sha256(f"{text}{fields}".encode(errors="surrogatepass")).hexdigest()[:8]
    made = Message(
        id=f"{key}-{sequence}-{digest}",
        key=key,
        sequence=sequence,
        edition="opened" if sequence == 1 else "updated",
        group="sync-website",
        title=f"[warning] website: {text}",
        body=f"pending since 12:00: {text}",
        severity=Severity.WARNING,
        at=START + timedelta(minutes=sequence),
        alerts=(alert(summary=text),),
    )
    return dataclasses.replace(made, **fields)  # type: ignore[arg-type]  # fields of Message


def withdrawal(key: str = "kmd-1-a", sequence: int = 2) -> Message:
    """Return what takes the message of this key back."""
    gone = alert(resolved_at=START + timedelta(hours=1), resolution=Resolution.DELETED, reason="deleted by ann")
    return message(key, sequence, edition="withdrawn", alerts=(gone,), reason="the sync was deleted")


class FarSide(abc.ABC):
    """What a notifier speaks to in the suite; entered before, left afterwards."""

    notifier: ClassVar[type[Notifier]]

    secrets: tuple[str, ...] = ()
    """Texts of the configuration that must never be shown."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of everything."""

    @abc.abstractmethod
    def config(self) -> dict[str, Json]:
        """Return the notifier's part of the YAML."""

    @abc.abstractmethod
    def standing(self) -> Mapping[str, str]:
        """Return what the channel shows now, by key: all of the text that a person would see.

        Where nothing can be taken back, that is what was said and not yet followed up.
        """

    @abc.abstractmethod
    def count(self) -> int:
        """Return how many messages stand, those counted twice that stand twice."""

    def surroundings(self, context: Context) -> Context:
        """Return the context that the notifier is to have instead of the one given."""
        return context


class RemoteSide(FarSide):
    """A far side at the other end of a network."""

    @abc.abstractmethod
    def lose_answer(self) -> None:
        """Let the next request land and its answer be lost."""

    @abc.abstractmethod
    def break_down(self) -> None:
        """Refuse every request from now on, repeating in the answer whatever was in the request."""


Scene = Callable[[Notifier], Awaitable[None]]


@contextlib.asynccontextmanager
async def opened(far: FarSide, folder: Path) -> AsyncIterator[Notifier]:
    """Build the notifier as the daemon does, and use it between open and close."""
    config = far.notifier.Config.model_validate(far.config(), context={"base": folder})
    async with session() as http:
        context = dataclasses.replace(fake_context("channel", SystemClock(), folder), http=http)
        made = far.notifier(config, far.surroundings(context))
        try:
            await made.open()
            yield made
        finally:
            await made.close()


def play(far: FarSide, folder: Path, scene: Scene) -> None:
    """Run the scene on a real event loop."""

    async def main() -> None:
        async with asyncio.timeout(PATIENCE), opened(far, folder) as notifier:
            await scene(notifier)

    asyncio.run(main())


class NotifierContract(abc.ABC):
    """Every promise of `komodod.notifier`, each with a test."""

    @abc.abstractmethod
    def far_side(self, folder: Path) -> FarSide:
        """Return a new far side, which may keep files in `folder`."""

    def test_what_is_shown_stands_in_the_channel(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            await notifier.show(message(text="3 changes"), None)

        with self.far_side(tmp_path) as far:
            play(far, tmp_path, scene)
            assert list(far.standing()) == ["kmd-1-a"]
            assert "3 changes" in far.standing()["kmd-1-a"]

    def test_showing_the_same_again_leaves_one_message(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            receipt = await notifier.show(message(), None)
            await notifier.show(message(), receipt)

        with self.far_side(tmp_path) as far:
            play(far, tmp_path, scene)
            assert far.count() == 1

    def test_an_edit_takes_the_place_of_what_stood(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            receipt = await notifier.show(message(text="3 changes"), None)
            await notifier.show(message(sequence=2, text="5 changes"), receipt)

        with self.far_side(tmp_path) as far:
            play(far, tmp_path, scene)
            assert far.count() == 1
            assert "5 changes" in far.standing()["kmd-1-a"]
            assert "3 changes" not in far.standing()["kmd-1-a"]

    def test_what_is_withdrawn_stands_no_more(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            receipt = await notifier.show(message(), None)
            await notifier.withdraw(withdrawal(), receipt)

        with self.far_side(tmp_path) as far:
            play(far, tmp_path, scene)
            assert far.count() == 0
            assert far.standing() == {}

    def test_withdrawing_twice_is_success(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            receipt = await notifier.show(message(), None)
            await notifier.withdraw(withdrawal(), receipt)
            await notifier.withdraw(withdrawal(), receipt)

        with self.far_side(tmp_path) as far:
            play(far, tmp_path, scene)
            assert far.standing() == {}

    def test_withdrawing_what_never_stood_is_success(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            await notifier.withdraw(withdrawal(), None)

        with self.far_side(tmp_path) as far:
            play(far, tmp_path, scene)
            assert far.standing() == {}

    def test_a_withdrawal_may_know_nothing_of_its_alerts(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            receipt = await notifier.show(message(), None)
            await notifier.withdraw(dataclasses.replace(withdrawal(), alerts=()), receipt)

        with self.far_side(tmp_path) as far:
            play(far, tmp_path, scene)
            assert far.standing() == {}

    def test_messages_of_other_keys_stay(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            first = await notifier.show(message("kmd-1-a"), None)
            await notifier.show(message("kmd-1-b"), None)
            await notifier.withdraw(withdrawal("kmd-1-a"), first)

        with self.far_side(tmp_path) as far:
            play(far, tmp_path, scene)
            assert list(far.standing()) == ["kmd-1-b"]

    def test_several_may_be_under_way_at_once(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            await asyncio.gather(*(notifier.show(message(f"kmd-1-{number}"), None) for number in range(16)))

        with self.far_side(tmp_path) as far:
            play(far, tmp_path, scene)
            assert far.count() == 16

    def test_no_secret_is_in_what_objects_say_of_themselves(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            said = f"{notifier!r} {notifier} {notifier.config!r} {notifier.config} {notifier.traits!r}"
            assert not [secret for secret in far.secrets if secret in said]

        with self.far_side(tmp_path) as far:
            play(far, tmp_path, scene)

    def test_any_text_can_be_shown_and_taken_back(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            hostile = message(text=HOSTILE, title=HOSTILE, body=f"{HOSTILE}\n\n{HOSTILE}")
            receipt = await notifier.show(hostile, None)
            assert "ü☃𝄞" in far.standing()["kmd-1-a"]
            await notifier.withdraw(dataclasses.replace(withdrawal(), reason=HOSTILE), receipt)

        with self.far_side(tmp_path) as far:
            play(far, tmp_path, scene)
            assert far.standing() == {}

    def test_a_message_of_the_largest_size_is_shown(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            size = notifier.traits.max_bytes or 65536
            title = "\u0001é" * 64  # three bytes a pair, and more than that where characters are escaped
            body = "\\" * (size - len(title.encode()))
            await notifier.show(message(title=title, body=body), None)

        with self.far_side(tmp_path) as far:
            play(far, tmp_path, scene)
            assert far.count() == 1

    def test_a_receipt_is_json(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            receipt = await notifier.show(message(), None)
            assert json.loads(json.dumps(receipt)) == receipt

        with self.far_side(tmp_path) as far:
            play(far, tmp_path, scene)

    def test_the_traits_are_sound(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            traits = notifier.traits
            assert isinstance(traits, Traits)
            assert traits == notifier.traits
            assert traits.withdrawal
            assert traits.timeout > 0
            assert traits.max_bytes is None or traits.max_bytes > 0
            assert (traits.window > 0) == (traits.receipt_class is ReceiptClass.B)
            searches = traits.receipt_class in (ReceiptClass.B, ReceiptClass.C)
            assert searches == isinstance(self, SearchingNotifierContract), "the class says whether find() is needed"
            lists = await notifier.shown() is not None
            assert lists == isinstance(self, ListingNotifierContract), "what shown() lists is to be proved too"

        with self.far_side(tmp_path) as far:
            play(far, tmp_path, scene)

    def test_unknown_keys_of_its_configuration_are_refused(self, tmp_path: Path) -> None:
        with self.far_side(tmp_path) as far, pytest.raises(ValidationError, match="frobnicate"):
            far.notifier.Config.model_validate(far.config() | {"frobnicate": 1}, context={"base": tmp_path})


class NetworkedNotifierContract(NotifierContract):
    """And what is promised where answers can be lost and requests refused."""

    @abc.abstractmethod
    def far_side(self, folder: Path) -> RemoteSide:
        """Return a new far side, which may keep files in `folder`."""

    def test_a_lost_answer_is_told_as_temporary_and_in_doubt(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            with pytest.raises(TemporaryError) as raised:
                await notifier.show(message(), None)
            assert raised.value.doubtful

        with self.far_side(tmp_path) as far:
            far.lose_answer()
            play(far, tmp_path, scene)

    def test_a_repetition_after_a_lost_answer_doubles_nothing_where_the_key_is_ours(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            with pytest.raises(TemporaryError):
                await notifier.show(message(), None)
            await notifier.show(message(), None)
            most = 1 if notifier.traits.receipt_class in (ReceiptClass.A, ReceiptClass.B) else 2
            assert 1 <= far.count() <= most

        with self.far_side(tmp_path) as far:
            far.lose_answer()
            play(far, tmp_path, scene)

    def test_an_error_says_whether_trying_again_helps_and_shows_no_secret(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            for call in (notifier.show, notifier.withdraw):
                with pytest.raises((TemporaryError, PermanentError)) as raised:
                    await call(message(), None)
                assert "\n" not in str(raised.value)
                assert not [secret for secret in far.secrets if secret in str(raised.value)]

        with self.far_side(tmp_path) as far:
            far.break_down()
            play(far, tmp_path, scene)

    def test_it_opens_while_its_channel_is_down(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            assert notifier.traits.timeout > 0

        with self.far_side(tmp_path) as far:
            far.break_down()
            play(far, tmp_path, scene)


class SearchingNotifierContract(NotifierContract):
    """And what is promised by a notifier of class B or C."""

    def test_what_it_finds_is_what_stands(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            assert await notifier.find("kmd-1-a") is None
            receipt = await notifier.show(message(), None)
            assert await notifier.find("kmd-1-a") == receipt

        with self.far_side(tmp_path) as far:
            play(far, tmp_path, scene)


class ListingNotifierContract(NotifierContract):
    """And what is promised by a notifier that can list what it shows."""

    def test_what_it_lists_is_what_stands(self, tmp_path: Path) -> None:
        async def scene(notifier: Notifier) -> None:
            receipt = await notifier.show(message(), None)
            assert await notifier.shown() == {"kmd-1-a": receipt}
            await notifier.withdraw(withdrawal(), receipt)
            assert await notifier.shown() == {}

        with self.far_side(tmp_path) as far:
            play(far, tmp_path, scene)
