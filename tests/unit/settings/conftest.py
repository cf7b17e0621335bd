"""A registry of small plugins, and a short way to load a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from komodod.durations import Duration
from komodod.errors import ConfigError
from komodod.model import Applied, Observation
from komodod.notifier import Notifier, ReceiptClass, Traits
from komodod.secrets import SecretFile, SecretFiles
from komodod.settings.loading import load
from komodod.settings.registry import Registry
from komodod.source import AnchoredPath, Source
from komodod.testing import MemoryConfig, MemoryStorage

if TYPE_CHECKING:
    from komodod.model import Json
    from komodod.notifier import Message
    from komodod.settings.values import Settings


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StoreConfig(MemoryConfig):
    path: AnchoredPath | None = None


class Store(MemoryStorage):
    Config = StoreConfig


class DirectoryConfig(Part):
    origin: AnchoredPath = Field(alias="from", description="The directory as it should be.")
    to: AnchoredPath
    prune: bool = False


class Looking(Source):
    async def observe(self) -> Observation:
        return Observation()

    async def apply(self, *, force: bool) -> Applied:
        return Applied(summary=f"force: {force}")


class Directory(Looking):
    Config = DirectoryConfig

    @classmethod
    def targets(cls, config: BaseModel) -> Sequence[Path]:
        assert isinstance(config, DirectoryConfig)
        return [config.to]


class Step(Part):
    run: str


class CommandConfig(Part):
    check: list[str]
    apply: list[str] | str | None = None
    steps: list[Step] = []
    env: dict[str, str] = {}
    timeout: Duration = 60.0
    token: SecretStr | None = None


class Command(Looking):
    Config = CommandConfig


class StrictConfig(Part):
    model_config = ConfigDict(extra="forbid", strict=True)

    number: int
    flag: bool = False
    text: str = ""


class Strict(Looking):
    Config = StrictConfig


def _here(value: object, info: ValidationInfo) -> object:
    return (info.context or {}).get("base", "/") if value is None else value


class PlacedConfig(Part):
    """Has a default that depends on the file, and one that does not."""

    cwd: Annotated[AnchoredPath, BeforeValidator(_here)] = Field(default=None, validate_default=True)
    prune: bool = False


class Placed(Looking):
    Config = PlacedConfig


class FaultyConfig(Part):
    where: str = ""

    @field_validator("where")
    @classmethod
    def _fail(cls, value: str) -> str:
        if value == "out":
            raise SystemExit(3)
        raise LookupError(f"no such\nplace: {value}")


FaultyConfig.__module__ = "somebody"


class Faulty(Looking):
    Config = FaultyConfig

    @classmethod
    def targets(cls, config: BaseModel) -> Sequence[Path]:
        raise LookupError(f"{config} writes nowhere")


class Silent(Notifier):
    Config: ClassVar[type[BaseModel]] = Part

    @property
    def traits(self) -> Traits:
        return Traits(receipt_class=ReceiptClass.A, withdrawal="nothing was said")

    async def show(self, message: Message, receipt: Json | None) -> Json | None:
        return receipt or message.key

    async def withdraw(self, message: Message, receipt: Json | None) -> None:
        pass


class WebhookConfig(SecretFiles):
    model_config = ConfigDict(extra="forbid")

    url: SecretStr
    secret: SecretStr | None = None
    secret_file: SecretFile | None = None
    tries: int = Field(1, ge=1)


class Webhook(Silent):
    Config = WebhookConfig


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry(
        storages={"sqlite": Store},
        notifiers={"log": Silent, "webhook": Webhook},
        sources={"directory": Directory, "command": Command, "strict": Strict, "faulty": Faulty, "placed": Placed},
        plugins=frozenset({"sqlite", "log", "webhook", "directory", "command", "pager"}),
        broken={"git": "plugin 'git': its import raised ImportError: no git; mend it"},
    )


class Load(Protocol):
    """Loads a configuration that consists of this text, with these variables in the environment."""

    def __call__(self, text: str, **environ: str) -> Settings: ...


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The directory of the configuration."""
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc"


@pytest.fixture
def load_text(home: Path, registry: Registry) -> Load:
    def loaded(text: str, **environ: str) -> Settings:
        path = home / "komodod.yaml"
        path.write_text(text)
        return load(path, registry, {"HOME": "/home/ada", **environ})

    return loaded


@pytest.fixture
def complaints(load_text: Load) -> Callable[..., list[str]]:
    """Loads a text that is wrong, and returns what is wrong as `line:column: message`."""

    def told(text: str, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(text, **environ)
        return [f"{problem.line}:{problem.column}: {problem.message}" for problem in caught.value.problems]

    return told


@pytest.fixture
def sync_of(load_text: Load) -> Callable[..., Any]:
    """Returns the spec of a sync with a command source and these further lines."""

    def declared(*lines: str, **environ: str) -> Any:
        text = "syncs:\n  - name: site\n    source: {type: command, check: [look]}\n"
        return load_text(text + "".join(f"    {line}\n" for line in lines), **environ).syncs[0].spec

    return declared
