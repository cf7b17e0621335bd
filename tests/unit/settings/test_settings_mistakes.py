"""Every file in `configs` has the mistake of its name; its comments say what a person is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from komodod.errors import ConfigError
from komodod.settings.loading import load

if TYPE_CHECKING:
    from komodod.settings.registry import Registry

CONFIGS = Path(__file__).parent / "configs"


def expected(path: Path) -> list[str]:
    found = re.findall(r"^# expect: (.*)$", path.read_text(), re.MULTILINE)
    return found or ["1:1: the file is empty; a configuration is a mapping, such as 'syncs: []'"]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_mistake_is_told_at_its_place_and_nothing_else_is(path: Path, registry: Registry) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path, registry, {"HOME": "/home/ada"})
    told = [f"{problem.line}:{problem.column}: {problem.message}" for problem in caught.value.problems]
    told = [re.sub(r"\w+\.py:\d+", "PLACE", line.replace(str(CONFIGS), "HERE")) for line in told]
    assert told == expected(path)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_complaint_is_one_short_line_without_a_full_stop(path: Path, registry: Registry) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path, registry, {"HOME": "/home/ada"})
    for problem in caught.value.problems:
        assert problem.message.isprintable()
        assert not problem.message.endswith(".")
        assert len(problem.message) < 300
