from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import pytest
from pydantic import AfterValidator, ConfigDict, SecretStr, ValidationError

from komodod.secrets import SecretFile, SecretFiles, read_secret

if TYPE_CHECKING:
    from pathlib import Path


class Config(SecretFiles):
    model_config = ConfigDict(extra="forbid", frozen=True)

    secret: SecretStr | None = None
    secret_file: SecretFile | None = None


def told(config: Config) -> str | None:
    return config.secret.get_secret_value() if config.secret else None


def test_a_secret_in_place_is_kept() -> None:
    assert told(Config.model_validate({"secret": "s3"})) == "s3"


def test_no_secret_is_no_error() -> None:
    assert told(Config.model_validate({})) is None


def test_a_secret_in_a_file_loses_its_line_break_only(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text(" s3 \n")
    assert told(Config.model_validate({"secret_file": "hook"}, context={"base": tmp_path})) == " s3 "


def test_a_credential_wins_over_a_file_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials/hook").write_text("from systemd")
    (tmp_path / "hook").write_text("from the folder")
    context = {"base": tmp_path, "credentials": tmp_path / "credentials"}
    assert told(Config.model_validate({"secret_file": "hook"}, context=context)) == "from systemd"


def test_a_file_that_is_no_credential_is_found_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("from the folder")
    context = {"base": tmp_path, "credentials": tmp_path / "credentials"}
    assert told(Config.model_validate({"secret_file": "hook"}, context=context)) == "from the folder"


def test_both_ways_at_once_are_refused(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("s3")
    with pytest.raises(ValidationError, match="both 'secret' and 'secret_file' are given"):
        Config.model_validate({"secret": "s3", "secret_file": str(tmp_path / "hook")})


def test_an_error_about_the_file_is_an_error_of_its_key(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"secret_file": "absent"}, context={"base": tmp_path})
    assert [error["loc"] for error in caught.value.errors()] == [("secret_file",)]


def test_a_relative_file_needs_something_to_be_relative_to() -> None:
    with pytest.raises(ValidationError, match="no file that it could be relative to"):
        Config.model_validate({"secret_file": "hook"})


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"\n", "is empty"), (b"caf\xe9", "not UTF-8"), (b"x" * 1_048_577, "larger than 1048576 bytes")],
)
def test_a_file_that_holds_no_usable_secret_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "hook").write_bytes(content)
    with pytest.raises(ValueError, match=complaint):
        read_secret(tmp_path / "hook")


def test_a_directory_is_no_secret(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a regular file"):
        read_secret(tmp_path)


def test_the_error_about_a_secret_does_not_hold_it(tmp_path: Path) -> None:
    (tmp_path / "hook").write_bytes(b"hunter2\xe9")
    with pytest.raises(ValueError, match="not UTF-8") as caught:
        read_secret(tmp_path / "hook")
    assert caught.value.__cause__ is None
    assert "hunter2" not in str(caught.value)


def test_a_dump_of_what_was_set_names_the_file_and_not_the_secret(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("hunter2")
    config = Config.model_validate({"secret_file": "hook"}, context={"base": tmp_path})
    assert config.model_dump(mode="json", exclude_unset=True) == {"secret_file": str(tmp_path / "hook")}


class Narrow(SecretFiles):
    url: Annotated[SecretStr, AfterValidator(lambda url: url)] | None = None
    url_file: SecretFile | None = None
    log: str | None = None
    log_file: str | None = None


def test_a_secret_behind_a_validator_is_one_too_and_a_text_is_none(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("http://127.0.0.1/\n")
    config = Narrow.model_validate({"url_file": str(tmp_path / "url"), "log_file": "absent"})
    assert (config.url, config.log) == (SecretStr("http://127.0.0.1/"), None)


def test_a_changed_secret_makes_a_different_configuration(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("old")
    before = Config.model_validate({"secret_file": "hook"}, context={"base": tmp_path})
    (tmp_path / "hook").write_text("new")
    assert Config.model_validate({"secret_file": "hook"}, context={"base": tmp_path}) != before
