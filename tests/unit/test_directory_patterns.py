from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from komodod.tree import Patterns

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("pattern", "path", "ignored"),
    [
        ("*.pyc", "a/b/c.pyc", True),
        ("*.pyc", "a.pyc/file", True),
        ("/build", "build", True),
        ("/build", "a/build", False),
        ("a/b", "a/b", True),
        ("a/b", "x/a/b", False),
        ("cache/", "cache", False),
        ("**/cache", "a/b/cache", True),
        ("a/**", "a", False),
        ("a/**", "a/b/c", True),
        ("a/**/z", "a/z", True),
        ("a/**/z", "a/b/c/z", True),
        ("a?c", "a/c", False),
        ("[!a]b", "cb", True),
        ("[!a]b", "ab", False),
        ("[]x]", "]", True),
        ("[a-]", "-", True),
        (r"\*", "*", True),
        (r"\*", "a", False),
        ("#x", "#x", True),
        ("a*", "a\nb", True),
        ("README", "readme", False),
    ],
)
def test_patterns_mean_what_they_mean_in_a_gitignore(pattern: str, path: str, *, ignored: bool) -> None:
    assert Patterns([pattern]).covers(path, directory=False) is ignored


def test_a_slash_at_the_end_means_directories_only() -> None:
    assert Patterns(["cache/"]).ignores("cache", directory=True)
    assert Patterns(["cache/"]).covers("cache/file", directory=False)


def test_the_last_pattern_that_matches_decides() -> None:
    patterns = Patterns(["*.log", "!keep.log"])
    assert patterns.ignores("a.log", directory=False)
    assert not patterns.ignores("keep.log", directory=False)


def test_what_is_below_an_ignored_directory_cannot_be_taken_back() -> None:
    assert Patterns(["logs/", "!keep.log"]).covers("logs/keep.log", directory=False)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "names nothing"),
        ("/", "names nothing"),
        ("!", "names nothing"),
        ("a//b", "names nothing"),
        ("a\\", "ends in a backslash"),
        ("[a", r"has a '\[' without its '\]'"),
        ("[z-a]", "goes backwards: z-a"),
        ("[[:alpha:]]", "has a named class"),
    ],
)
def test_a_pattern_that_could_never_match_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Patterns([pattern])


def test_many_stars_take_no_exponential_time() -> None:
    started = time.process_time()
    assert not Patterns(["*a" * 60 + "b"]).ignores("a" * 255, directory=False)
    assert time.process_time() - started < 1


segments = st.sampled_from(["a", "b", "ab", "*", "**", "a*", "*b", "?", "[ab]", "[!a]", "*a*", r"\a", "a**b"])
patterns = st.builds(
    lambda negated, rooted, parts, folder: negated + rooted + "/".join(parts) + folder,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "/"]),
    st.lists(segments, min_size=1, max_size=3),
    st.sampled_from(["", "/"]),
)
paths = st.lists(st.sampled_from(["a", "b", "ab", "aab", "ba"]), min_size=1, max_size=4).map("/".join)


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """Two, so that a path can be a directory in one and a file in the other."""
    places = {directory: tmp_path_factory.mktemp("repository") for directory in (False, True)}
    for place in places.values():
        subprocess.run(["git", "init", "-q", place], check=True)
    return places


@settings(max_examples=150, deadline=None)
@given(chosen=st.lists(patterns, min_size=1, max_size=4), path=paths, directory=st.booleans())
def test_git_agrees(repositories: dict[bool, Path], chosen: list[str], path: str, *, directory: bool) -> None:
    repository = repositories[directory]
    (repository / ".gitignore").write_text("\n".join(chosen) + "\n")
    if directory:
        (repository / path).mkdir(parents=True, exist_ok=True)
    answer = subprocess.run(["git", "check-ignore", "--no-index", "-q", path], cwd=repository, check=False)
    assert Patterns(chosen).covers(path, directory=directory) is (answer.returncode == 0)
