"""A glob matches on the server what it matches in Python."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from komodod_postgres.conditions import translate

if TYPE_CHECKING:
    from collections.abc import Iterator

LETTERS = "ab-[]!*?^\\.$é☃\n"


@pytest.fixture(scope="module")
def connection(postgres_server: Any) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        yield connection


@given(glob=st.text(LETTERS, max_size=8), names=st.lists(st.text(LETTERS, max_size=4), min_size=1, max_size=8))
@example("[b-a]", ["a", "", "[b-a]"])
@example("[!b-a]x", ["ax", "x"])
@example("[]-a]", ["]", "a", "b"])
@example("[a-c-e]", ["b", "-", "d", "e"])
@example("[\\]*", ["\\", "\\x", "x"])
@example("[[]", ["["])
@example("***", [""])
@settings(max_examples=300, deadline=None)
def test_a_glob_matches_on_the_server_what_it_matches_in_python(
    connection: psycopg.Connection[Any], glob: str, names: list[str]
) -> None:
    found = connection.execute(
        'SELECT name COLLATE "C" ~ %s FROM unnest(%s::text[]) WITH ORDINALITY AS names (name, place) ORDER BY place',
        (translate(glob), names),
    ).fetchall()
    assert [matches for [matches] in found] == [fnmatchcase(name, glob) for name in names]
