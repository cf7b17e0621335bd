from __future__ import annotations

from pydantic import BaseModel, Field

from komodod.settings.wording import join, keys, unknown


class Inner(BaseModel):
    name: str
    kind: str = Field(alias="type")


class Outer(BaseModel):
    one: Inner
    many: list[Inner | None] = []
    named: dict[str, Inner] = {}


def test_the_nearest_of_the_known_names_is_offered() -> None:
    assert unknown("key", "evry", ["every", "cron"]) == "unknown key 'evry', did you mean 'every'?"


def test_without_a_near_one_the_known_names_are_listed() -> None:
    assert unknown("key", "x", ["every", "cron"]) == "unknown key 'x'; known: cron, every"
    assert unknown("key", "x", []) == "unknown key 'x'"


def test_a_long_list_of_names_is_cut() -> None:
    names = [f"notifier-{number:02}" for number in range(22)]
    assert unknown("notifier", "x", names).endswith("notifier-18, notifier-19 and 2 more")


def test_a_long_name_is_cut() -> None:
    assert unknown("key", "x" * 1000, []) == f"unknown key '{'x' * 57}'..."


def test_the_branches_of_a_union_make_one_message() -> None:
    assert (
        join(["a text is needed, not a list", "a number is needed, not a list"])
        == "a text or a number is needed, not a list"
    )
    assert (
        join(["a text is needed, not a list", "key 'x' is missing"])
        == "a text is needed, not a list; or key 'x' is missing"
    )


def test_keys_are_found_below_lists_mappings_and_unions() -> None:
    assert keys(Outer) == {"one", "many", "named"}
    paths: list[list[int | str]] = [["one"], ["many", 3], ["many", 3, "Inner"], ["named", "x"]]
    for path in paths:
        assert keys(Outer, path) == {"name", "type"}
