from __future__ import annotations

import pytest

from komodod.model import SyncState
from komodod_sqlite.conditions import LAST, Where, place


def test_what_is_not_set_adds_no_condition() -> None:
    where = Where().equal("a", None).glob("b", None, "b").labels("c", {}).among("d", ())
    assert str(where) == "true"
    assert where.params == {}


def test_conditions_are_joined_and_their_values_stay_out_of_the_text() -> None:
    hostile = "x' OR 1 = 1; --"
    where = (
        Where().equal("state", SyncState.OK).equal('"group"', hostile, "group").glob("title", f"{hostile}*", "title")
    )
    assert str(where) == 'state = :state AND "group" = :group AND fnmatch(title, :title)'
    assert where.params == {"state": "ok", "group": hostile, "title": f"{hostile}*"}


@pytest.mark.parametrize("pattern", ["web", "w%b", "w_b", "", "w]b", "w!b"])
def test_a_pattern_without_a_wildcard_is_looked_up(pattern: str) -> None:
    where = Where().glob("sync_name", pattern, "name")
    assert str(where) == "sync_name = :name"


@pytest.mark.parametrize("row_id", ["id", "with.dots", ""])
def test_the_key_of_a_page_says_where_to_go_on(row_id: str) -> None:
    for stamp in (0, -5, 1_767_225_600_000_001):
        assert Where().older("at", place(stamp, row_id)).params == {"stamp": stamp, "row_id": row_id}
    assert Where().older("at", None).params == {"stamp": LAST, "row_id": ""}


@pytest.mark.parametrize("after", ["", "x", "x.y", "1e3.id", "٣.id", "--5.id", f"{LAST + 1}.id"])
def test_a_key_that_no_page_gave_is_refused(after: str) -> None:
    with pytest.raises(ValueError, match="is no place in this list; take `next` of the page before"):
        Where().older("at", after)
