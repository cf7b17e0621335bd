from __future__ import annotations

import base64
import dataclasses
from typing import TYPE_CHECKING

import structlog

from komodod.testing.notifiers import FarSide, NetworkedNotifierContract, NotifierContract, RemoteSide
from komodod.testing.sink import Fault, Sink
from komodod_log import LogNotifier
from komodod_webhook import WebhookNotifier

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from pathlib import Path
    from typing import Self

    from komodod.context import Context
    from komodod.model import Json


class Receiver(RemoteSide):
    """A webhook receiver."""

    notifier = WebhookNotifier
    secrets = ("T0K3N-in-the-path", "hunter2", base64.b64encode(b"k" * 32).decode(), "swordfish")

    def __init__(self, folder: Path) -> None:
        self.sink = Sink()
        (folder / "secret").write_text(f"whsec_{self.secrets[2]}\n")

    def __enter__(self) -> Self:
        self.sink.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.sink.__exit__()

    def config(self) -> dict[str, Json]:
        return {
            "url": f"{self.sink.url.replace('//', '//ann:swordfish@')}/{self.secrets[0]}?key=hunter2",
            "secret_file": "secret",
            "headers": {"X-Token": "hunter2"},
        }

    def standing(self) -> Mapping[str, str]:
        return {key: data["title"] + data["body"] for key, data in self.sink.standing().items()}

    def count(self) -> int:
        return len(self.standing())

    def lose_answer(self) -> None:
        self.sink.answer_next(fault=Fault.RESET)

    def break_down(self) -> None:
        self.sink.answer(403, " ".join(("refused:", *self.secrets)).encode())


class Log(FarSide):
    """The lines that were written."""

    notifier = LogNotifier

    def __init__(self) -> None:
        self.lines: list[dict[str, Json]] = []

    def surroundings(self, context: Context) -> Context:
        def keep(_logger: object, _method: str, event: MutableMapping[str, Json]) -> str:
            self.lines.append(dict(event))
            raise structlog.DropEvent

        return dataclasses.replace(context, log=structlog.wrap_logger(None, processors=[keep]))

    def config(self) -> dict[str, Json]:
        return {}

    def standing(self) -> Mapping[str, str]:
        said: dict[str, str] = {}
        for line in self.lines:
            if line["event"] == "notification_withdrawn":
                said.pop(line["key"], None)
            else:
                said[line["key"]] = line["summary"]
        return said

    def count(self) -> int:
        return len(self.standing())


class TestWebhook(NetworkedNotifierContract):
    def far_side(self, folder: Path) -> RemoteSide:
        return Receiver(folder)


class TestLog(NotifierContract):
    def far_side(self, folder: Path) -> FarSide:
        return Log()
