from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from komodod.testing.sources import validate
from komodod_git import GitConfig, GitSource
from komodod_git.commands import Access

if TYPE_CHECKING:
    from pathlib import Path


def read(base: Path | None = None, **keys: Any) -> GitConfig:
    config = validate(GitSource, {"url": "https://example.org/infra.git", "to": "/srv/stacks", **keys}, base)
    assert isinstance(config, GitConfig)
    return config


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/infra.git",
        "http://[::1]:8080/infra.git",
        "ssh://git@example.org:2222/infra.git",
        "git://example.org/infra.git",
        "git@example.org:team/infra.git",
        "example.org:infra",
        "git@[::1]:infra",
        "file:///srv/git/infra.git",
        "/srv/git/infra.git",
    ],
)
def test_addresses_are_taken_as_they_are(url: str) -> None:
    assert read(url=url).url == url


@pytest.mark.parametrize(("url", "path"), [("../infra.git", "../infra.git"), ("repo", "repo"), ("./a:b", "a:b")])
def test_paths_are_relative_to_the_file(url: str, path: str, tmp_path: Path) -> None:
    assert read(tmp_path, url=url).url == str(tmp_path / path)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "does not begin with '-'"),
        ("-uevil", "does not begin with '-'"),
        ("--upload-pack=evil", "does not begin with '-'"),
        ("https://example.org/\n", "printable text"),
        ("ext::sh -c evil", "the transport 'ext' is not allowed; use one of file, git, http, https, ssh"),
        ("fd::17/foo", "the transport 'fd' is not allowed"),
        ("ext://x", "the transport 'ext' is not allowed"),
        ("ftp://example.org/x", "the transport 'ftp' is not allowed"),
        ("ssh://-oProxyCommand=evil/x", "names no host"),
        ("git@-oProxyCommand=evil:x", "names no host"),
        ("https:///x", "names no host"),
        ("file://host/x", "a file url has an absolute path"),
        ("repo", "is relative, and there is no file"),
        ("https://ada:s3cr3t@example.org/x", "holds a password, .* use `token_file`"),
        ("ssh://ada:s3cr3t@example.org/x", "holds a password"),
        ("https://ghp_t0k3n@example.org/x", "if it is a token, put it there"),
    ],
)
def test_addresses_that_do_harm_are_refused(url: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        read(url=url)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"url": "http://example.org/x"}, "a token would be readable on the way; use https"),
        ({"url": "git@example.org:x"}, "`token_file` is for https; for ssh use `ssh_key_file`"),
    ],
)
def test_a_token_goes_nowhere_it_could_be_read(keys: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    with pytest.raises(ValidationError, match=said):
        read(token_file=str(tmp_path / "token"), **keys)


def test_a_token_is_for_one_site_and_one_user(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0k3n")
    config = read(url="https://ada@example.org:8443/x.git", token_file=str(tmp_path / "token"))
    access = Access.build(config, "t0k3n")
    assert access.address == "https://example.org:8443/x.git"
    assert access.env["GIT_CONFIG_KEY_0"] == "http.https://example.org:8443/.extraHeader"
    assert access.env["GIT_CONFIG_VALUE_0"] == "Authorization: Basic YWRhOnQwazNu"


def test_what_is_stored_holds_no_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0k3n")
    stored = read(token_file=str(tmp_path / "token")).model_dump_json(by_alias=True)
    assert "t0k3n" not in stored
    assert json.loads(stored)["token_file"] == str(tmp_path / "token")


@pytest.mark.parametrize("name", ["main", "feature/x", "v1.2", "refs/heads/main", "ünïcode", "a-b"])
def test_names_of_branches_are_taken(name: str) -> None:
    assert read(branch=name).branch == name.removeprefix("refs/heads/")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "@",
        "-x",
        "a b",
        "a..b",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "[a",
        "a\\b",
        "a@{1}",
        "a//b",
        "/a",
        "a/",
        "a.",
        ".a",
        "a/.b",
        "a.lock",
        "a\n",
    ],
)
def test_what_is_no_name_of_a_branch_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="is no name of a branch"):
        read(branch=name)


@pytest.mark.parametrize(("path", "kept"), [("", ""), ("stacks", "stacks"), ("a//b/", "a/b")])
def test_paths_inside_the_repository_are_taken(path: str, kept: str) -> None:
    assert read(path=path).path == kept


@pytest.mark.parametrize("path", ["/etc", "..", "a/../b", "./a", "a\0b"])
def test_paths_out_of_the_repository_are_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="is no path inside a repository"):
        read(path=path)


def test_the_root_directory_is_no_target() -> None:
    with pytest.raises(ValidationError, match="`to` is the root directory"):
        read(to="/")


def test_only_what_git_needs_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s3")
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    env = Access.build(read(), None).env
    assert {"SECRET", "GIT_DIR"}.isdisjoint(env)
    assert env["HTTPS_PROXY"] == "http://proxy:3128"
    assert env["GIT_TERMINAL_PROMPT"] == "0"
