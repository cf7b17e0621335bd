"""Secrets in a plugin's part of the YAML: given in place, or better in a file of their own."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated, Any, Final, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, SecretStr, ValidationInfo, model_validator

LARGEST: Final = 1024 * 1024
"""Bytes; also systemd's limit for a credential."""


def read_secret(path: Path) -> SecretStr:
    """Return what the file holds, without the line break at its end.

    Raises:
        ValueError: it cannot be read, is empty, too large, not a regular file or not UTF-8.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError(f"'{path}' is not a regular file")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ValueError(f"the secret in '{path}' is larger than {LARGEST} bytes")
        text = data.decode()
    except OSError as error:
        raise ValueError(f"cannot read the secret in '{path}': {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError:
        # Not `from` it: that error holds the bytes of the secret.
        raise ValueError(f"the secret in '{path}' is not UTF-8 text") from None
    secret = text.rstrip("\r\n")
    if not secret:
        raise ValueError(f"the secret in '{path}' is empty")
    return SecretStr(secret)


def _find(value: object, info: ValidationInfo) -> Path:
    """Return the absolute path that a configuration means: a credential of that name, else relative to the file."""
    if not isinstance(value, str | Path) or value == "":
        raise ValueError("the path of a secret is a text that is not empty")
    context = info.context or {}
    try:
        path = Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError(f"cannot tell whose home directory {str(value)!r} means") from error
    if path.is_absolute():
        return path
    credentials, base = context.get("credentials"), context.get("base")
    if credentials is not None and os.path.lexists(Path(credentials) / path):
        return Path(credentials) / path
    if base is None:
        raise ValueError(f"{str(value)!r} is relative, and there is no file that it could be relative to")
    return Path(base) / path


def _readable(path: Path) -> Path:
    read_secret(path)
    return path


SecretFile = Annotated[Path, BeforeValidator(_find), AfterValidator(_readable)]
"""The path of a file with a secret.

A relative one is looked for among systemd's credentials (validation context `credentials`, a directory) and then
relative to the file that names it (`base`). Absolute afterwards, and known to be readable.
"""


class SecretFiles(BaseModel):
    """Base of a `Config` with secrets: the secret `x` may be given as the file `x_file` instead.

        class Config(SecretFiles):
            model_config = ConfigDict(extra="forbid", frozen=True)
            secret: SecretStr | None = Field(None, description="...")
            secret_file: SecretFile | None = Field(None, description="...")

    Whichever way it came, `secret` holds it afterwards. The file is read once, when the configuration is validated; a
    reload reads it again. A value from a file does not count as set, so a dump with `exclude_unset` has only the path.
    """

    @model_validator(mode="after")
    def _take(self) -> Self:
        for name, file_name in _pairs(type(self)):
            path: Path | None = getattr(self, file_name)
            if path is None:
                continue
            if getattr(self, name) is not None:
                raise ValueError(f"both {name!r} and {file_name!r} are given; keep one")
            self.__dict__[name] = read_secret(path)  # past `frozen`, and past the fields that count as set
        return self


def _pairs(model: type[BaseModel]) -> list[tuple[str, str]]:
    secrets = [name for name, field in model.model_fields.items() if _is_secret(field.annotation)]
    return [(name, f"{name}_file") for name in secrets if f"{name}_file" in model.model_fields]


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_is_secret(part) for part in get_args(annotation))
