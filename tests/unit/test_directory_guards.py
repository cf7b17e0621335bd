from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from komodod.errors import SourceError
from komodod.testing.sources import validate
from komodod_directory import DirectorySource

if TYPE_CHECKING:
    from pathlib import Path


def fill(place: Path, count: int) -> None:
    for number in range(count):
        (place / f"{number:03}").write_text("x")


def test_an_empty_origin_prunes_nothing_unless_forced(site: Any) -> None:
    fill(site.target, 1)
    with pytest.raises(
        SourceError, match=r"^would remove everything \(1 entries\), because the origin is empty; .* --force$"
    ):
        site.apply(prune=True)
    assert site.paths() == ["000"]
    site.apply(prune=True, force=True)
    assert site.paths() == []


def test_an_origin_with_ignored_files_alone_is_empty(site: Any) -> None:
    (site.origin / "x.tmp").write_text("x")
    fill(site.target, 1)
    with pytest.raises(SourceError, match="the origin is empty"):
        site.apply(prune=True, ignore=["*.tmp"])


def test_an_empty_origin_and_an_empty_target_are_in_step(site: Any) -> None:
    assert site.apply(prune=True).summary == "nothing to do"


def test_most_of_the_target_is_not_pruned_unless_forced(site: Any) -> None:
    fill(site.origin, 10)
    fill(site.target, 21)
    with pytest.raises(
        SourceError, match=r"^would remove 11 of 21 files in the target; if that is right, apply with --force$"
    ):
        site.apply(prune=True)
    assert len(site.paths()) == 21
    site.apply(prune=True, force=True)
    assert len(site.paths()) == 10


def test_half_of_the_target_may_be_pruned(site: Any) -> None:
    fill(site.origin, 11)
    fill(site.target, 22)
    assert site.apply(prune=True).summary == "11 deleted"


def test_ten_files_may_be_pruned_whatever_is_left(site: Any) -> None:
    (site.origin / "new").write_text("n")
    fill(site.target, 10)
    assert site.apply(prune=True).summary == "1 created, 10 deleted"


def test_nothing_is_written_before_the_guard_has_spoken(site: Any) -> None:
    (site.origin / "new").write_text("n")
    fill(site.target, 12)
    with pytest.raises(SourceError, match="would remove 12 of 12"):
        site.apply(prune=True)
    assert "new" not in site.paths()


def test_a_look_shows_what_the_guard_would_stop(site: Any) -> None:
    fill(site.target, 12)
    assert len(site.told(prune=True)) == 12


@pytest.mark.parametrize(
    ("origin", "target", "said"),
    [
        ("/a", "/", "`to` is the root directory"),
        ("/a", "//", "`to` is the root directory"),
        ("/a", "/b/..", "`to` is the root directory"),
        ("/a", "/a", "are the same directory"),
        ("/a", "/b/../a/.", "are the same directory"),
        ("/a", "/a/b", "one inside the other"),
        ("/a/b", "/a", "one inside the other"),
        ("/", "/a", "one inside the other"),
    ],
)
def test_places_that_must_not_go_together_are_refused(origin: str, target: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        validate(DirectorySource, {"from": origin, "to": target})


def test_places_with_a_common_beginning_are_apart() -> None:
    validate(DirectorySource, {"from": "/srv/www", "to": "/srv/www-live"})


def test_a_symlink_does_not_hide_that_places_are_the_same(site: Any) -> None:
    site.target.rmdir()
    site.target.symlink_to(site.origin)
    with pytest.raises(SourceError, match="are the same directory"):
        site.observe()


def test_a_symlink_does_not_hide_that_one_place_is_inside_the_other(site: Any, tmp_path: Path) -> None:
    (site.origin / "inner").mkdir()
    (tmp_path / "alias").symlink_to(site.origin / "inner")
    site.target = tmp_path / "alias"
    with pytest.raises(SourceError, match="one inside the other"):
        site.apply(force=True)


def test_a_symlink_does_not_hide_the_root_directory(site: Any) -> None:
    site.target.rmdir()
    site.target.symlink_to("/")
    with pytest.raises(SourceError, match="`to` is the root directory"):
        site.apply(force=True)


def test_komodods_own_state_is_no_target(site: Any) -> None:
    site.state = site.target / "state/plugins/directory"
    with pytest.raises(SourceError, match="keeps its own state"):
        site.apply(prune=True)


def test_relative_places_are_relative_to_the_file(tmp_path: Path) -> None:
    config = validate(DirectorySource, {"from": "site", "to": "../www"}, tmp_path)
    assert DirectorySource.targets(config) == [tmp_path / "../www"]


def test_a_pattern_that_names_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="names nothing"):
        validate(DirectorySource, {"from": "/a", "to": "/b", "ignore": ["/"]})
