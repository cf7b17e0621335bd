from __future__ import annotations

import pytest

from komodod.redaction import Redactor, one_line


def test_known_secrets_are_masked_wherever_they_stand() -> None:
    assert Redactor(["hunter2"]).text("with hunter2, or ?key=hunter2&x") == "with ***, or ?key=***&x"


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert Redactor(["abcd", "abcdefgh"]).text("abcdefgh") == "***"


def test_a_secret_spelled_as_in_a_url_is_masked() -> None:
    assert Redactor(["p/ss wörd"]).text("https://h/?k=p%2Fss%20w%C3%B6rd") == "https://h/?k=***"


def test_each_line_of_a_secret_is_one() -> None:
    assert Redactor(["first-key\nsecond-key\n"]).text("second-key") == "***"


def test_a_secret_too_short_to_hide_is_left() -> None:
    assert Redactor(["a", ""]).text("a banana") == "a banana"


def test_secrets_added_later_are_masked() -> None:
    redactor = Redactor(["hunter2"])
    redactor.add("swordfish")
    assert redactor.text("hunter2 swordfish") == "*** ***"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://ann:pw@example.org/x", "https://***@example.org/x"),
        ("git clone https://token@example.org, then", "git clone https://***@example.org, then"),
        ("https://example.org/@ann", "https://example.org/@ann"),
        ("mail ann@example.org", "mail ann@example.org"),
    ],
)
def test_users_and_passwords_in_urls_are_masked(text: str, masked: str) -> None:
    assert Redactor().text(text) == masked


@pytest.mark.parametrize("key", ["secret", "api_token", "Password", "Authorization", "webhook-signature"])
def test_the_value_of_a_key_that_says_secret_is_masked(key: str) -> None:
    assert Redactor().value({"hook": {key: ["x"]}}) == {"hook": {key: "***"}}


def test_where_a_secret_is_kept_is_no_secret() -> None:
    assert Redactor().value({"secret_file": "/run/key", "token": None}) == {"secret_file": "/run/key", "token": None}


def test_all_that_a_value_holds_is_masked_and_the_rest_kept() -> None:
    value = {"hunter2": ("hunter2", 5, {"x": ["hunter2", None]})}
    assert Redactor(["hunter2"]).value(value) == {"***": ["***", 5, {"x": ["***", None]}]}


def test_a_text_becomes_one_line_of_bounded_length() -> None:
    assert one_line("a\n\tb\x1b[31m\0c  d") == "a b [31m c d"
    assert one_line("x" * 20, 10) == "x" * 9 + "…"
