from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from komodod.durations import LONGEST, Duration, parse, spell


class Model(BaseModel):
    timeout: Duration


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (90, 90.0),
        (0.25, 0.25),
        ("90", 90.0),
        ("90s", 90.0),
        ("10m", 600.0),
        ("1h30m", 5400.0),
        ("2d", 172800.0),
        ("1d1h1m1.5s", 90061.5),
        ("1.5h", 5400.0),
    ],
)
def test_seconds_and_texts_with_units_are_durations(value: object, seconds: float) -> None:
    assert parse(value) == seconds


@pytest.mark.parametrize(
    "value",
    ["", " ", "s", "10 m", "-5s", "+5", "1m1h", "5s5s", "10M", "1e3", "٣s", "1w", "inf", True, None, [], math.nan],
)
def test_anything_else_is_refused_and_the_message_shows_how_to_write_one(value: object) -> None:
    with pytest.raises(ValueError, match=r"is no duration; write seconds, or a text like '90s'"):
        parse(value)


@pytest.mark.parametrize("value", [0, -1, "0s", math.inf, -math.inf, LONGEST + 1, "9" * 400, 10**400])
def test_what_no_timer_can_wait_for_is_out_of_range(value: object) -> None:
    with pytest.raises(ValueError, match="out of range"):
        parse(value)


def test_a_dumped_duration_is_read_as_the_same_one() -> None:
    model = Model.model_validate({"timeout": "1h30m"})
    assert Model.model_validate(model.model_dump(mode="json")) == model
    assert model.model_dump(mode="json") == {"timeout": 5400.0}


def test_a_model_refuses_what_parse_refuses() -> None:
    with pytest.raises(ValidationError, match="is no duration"):
        Model.model_validate({"timeout": "soon"})


def test_the_schema_takes_numbers_and_texts() -> None:
    kinds = [branch["type"] for branch in Model.model_json_schema()["properties"]["timeout"]["anyOf"]]
    assert kinds == ["number", "string"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (0.25, "0.25s"), (90, "1m30s"), (5400, "1h30m"), (172800, "2d")]
)
def test_durations_are_spelled_for_people(seconds: float, text: str) -> None:
    assert spell(seconds) == text


@given(st.integers(min_value=1, max_value=int(LONGEST * 1000)))
def test_what_is_spelled_parses_to_the_same_milliseconds(milliseconds: int) -> None:
    assert parse(spell(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, abs=0.0006)
