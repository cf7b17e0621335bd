from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from komodod.testing.sources import validate
from komodod_command import CommandConfig, CommandSource


def read(base: Path | None = None, **keys: Any) -> CommandConfig:
    config = validate(CommandSource, {"check": ["true"], **keys}, base)
    assert isinstance(config, CommandConfig)
    return config


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"check": "terraform plan"}, "`check` is a text for the shell with `shell: true`, and else a list"),
        ({"check": ["true"], "shell": True}, "`check` is a text for the shell"),
        ({"apply": "terraform apply"}, "`apply` is a text for the shell"),
        ({"check": []}, "`check` names no command"),
        ({"check": [" "]}, "`check` names no command"),
        ({"check": " ", "shell": True}, "`check` names no command"),
        ({"check": ["a\0b"]}, "NUL"),
        ({"check": ["sleep", 5]}, "valid string"),
        ({"env": {"A=B": "1"}}, "no name of an environment variable"),
        ({"env": {"A": "1\0"}}, "NUL"),
        ({"pass_env": [""]}, "no name of an environment variable"),
        ({"timeout": "soon"}, "is no duration"),
        ({"max_output": 0}, "greater than or equal to 1024"),
        ({"cwd": "tf"}, "is relative"),
    ],
)
def test_mistakes_are_told(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        read(**keys)


def test_the_working_directory_is_that_of_the_file(tmp_path: Path) -> None:
    assert read(tmp_path).cwd == tmp_path
    assert read(tmp_path, cwd="tf").cwd == tmp_path / "tf"


def test_without_a_file_the_working_directory_is_the_root() -> None:
    assert read().cwd == Path("/")


def test_a_timeout_may_be_written_with_its_unit() -> None:
    assert read(timeout="10m").timeout == 600
