from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from komodod.errors import ConfigError
from komodod.settings.document import LARGEST, compose, load, load_plain
from komodod.settings.nodes import Map, Node, Scalar, Seq, plain, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from komodod.model import Json

FILE = Path("komodod.yaml")


def tree(text: str) -> Node:
    document = compose(text, FILE)
    assert not document.problems
    assert document.root is not None
    return document.root


def told(text: str) -> list[str]:
    return [f"{problem.line}:{problem.column}: {problem.message}" for problem in compose(text, FILE).problems]


def scalars(node: Node) -> Iterator[Scalar]:
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, Seq):
        for item in node.items:
            yield from scalars(item)
    else:
        for key, value in node.entries.values():
            yield key
            yield from scalars(value)


def test_what_yaml_1_1_would_change_stays_as_it_was_written() -> None:
    written = ["1:30", "off", "010", "yes", "1_000", "0x1f", "2026-01-01", "1e3", ".5"]
    assert plain(tree("".join(f"- {text}\n" for text in written))) == written


def test_only_an_unquoted_null_is_no_value() -> None:
    assert plain(tree("[~, null, Null, '', 'null', \"~\"]")) == [None, None, None, "", "null", "~"]
    assert plain(tree("a:\nb: !!str\n")) == {"a": None, "b": ""}


def test_every_value_knows_its_place() -> None:
    text = "a: [x,\n    'é', y]\nb:\n  - c: z\n"
    places = {node.text: (node.line, node.column) for node in scalars(tree(text))}
    assert places == {"a": (1, 1), "x": (1, 5), "é": (2, 5), "y": (2, 10), "b": (3, 1), "c": (4, 5), "z": (4, 8)}


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "komodod.yaml").write_bytes(b"\xef\xbb\xbfa: b\n")
    assert load_plain(tmp_path / "komodod.yaml") == {"a": "b"}


def test_anchors_and_merge_keys_work() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 0}\nw: {<<: *x}\n"
    found = plain(tree(text))
    assert (found["z"], found["w"]) == ({"a": "0", "b": "1", "c": "2"}, {"a": "1", "b": "1"})


def test_a_quoted_merge_key_is_a_key() -> None:
    assert plain(tree("{'<<': {a: b}}")) == {"<<": {"a": "b"}}


def test_a_value_read_as_yaml_means_it_is_a_number_a_truth_or_nothing() -> None:
    written = tree("[5, -7, 010, 1.5, true, False, null, '5', 1:30, 0x10, off, 99999999999999999999]")
    assert isinstance(written, Seq)
    values = [read(item) for item in written.items if isinstance(item, Scalar)]
    assert values == [5, -7, 10, 1.5, True, False, None, "5", "1:30", "0x10", "off", "99999999999999999999"]


def test_all_mistakes_that_can_be_gone_on_after_are_told() -> None:
    assert told("a: 1\na: 2\n[b]: !!set {}\na: 3\n") == [
        "2:1: key 'a' stands twice, first in line 1",
        "3:1: a key is a text, not a list or a mapping",
        "3:6: the tag 'tag:yaml.org,2002:set' means nothing here; write the value without it",
        "4:1: key 'a' stands twice, first in line 1",
    ]


def test_an_alias_bomb_is_refused_at_once() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 40))
    started = time.perf_counter()
    assert told(bomb) == ["6:25: the aliases up to here stand for more than 500000 values"]
    assert time.perf_counter() - started < 1


def test_a_bomb_of_merge_keys_is_refused_too() -> None:
    text = "a: &a {" + ", ".join(f"k{n}: v" for n in range(1000)) + "}\nb:\n"
    text += "".join(f"  - {{<<: *a, own: {n}}}\n" for n in range(1000))
    assert told(text) == ["252:10: the aliases up to here stand for more than 500000 values"]


def test_deep_nesting_is_refused_at_once() -> None:
    started = time.perf_counter()
    assert told("[" * 100_000) == ["1:51: more than 50 lists and mappings inside one another"]
    assert told("".join(f"{' ' * n}a:\n" for n in range(60))) == [
        "51:51: more than 50 lists and mappings inside one another"
    ]
    assert time.perf_counter() - started < 1


def only(text: str, *keys: str) -> Json:
    root = compose(text, FILE, only=keys).root
    return root and plain(root)


def test_a_part_of_a_file_can_be_read_alone() -> None:
    text = "a: {b: [1, {c: d}]}\ne: 1\nf: [[], {}]\ng:\nh: {i: j}\n"
    assert only(text, "e", "h") == {"e": "1", "h": {"i": "j"}}
    assert only(text, "a", "g") == {"a": {"b": ["1", {"c": "d"}]}, "g": None}
    assert only(text) == {}


def test_an_anchor_outside_of_the_part_is_found() -> None:
    assert only("a: &a {b: c}\nd: *a\n", "d")["d"] == {"b": "c"}
    assert only("x: &x {d: 1}\n<<: *x\n", "d")["d"] == "1"


def test_a_part_of_a_file_that_is_wrong_elsewhere_is_read() -> None:
    assert only("a: {b: 1, b: 2}\nd: 1\n", "d") == {"d": "1"}
    assert only("? [a]\n: b\nd: 1\n", "d") == {"d": "1"}


def test_a_value_with_a_variable_is_listed_once_however_often_it_is_used() -> None:
    document = compose("a: &a ${A}\nb: *a\n${C}: [*a, '$${D}']\n", FILE)
    assert [node.text for node in document.templates] == ["${A}", "$${D}"]


def test_without_libyaml_it_is_the_same() -> None:
    text = "a: &x [1, '${V}']\nb: {<<: {c: 'd'}, e: *x}\n"
    nodes = [node for node in (compose(text, FILE, yaml.SafeLoader).root, compose(text, FILE).root) if node]
    assert plain(nodes[0]) == plain(nodes[1])
    assert [(node.line, node.column) for node in scalars(nodes[0])] == [
        (node.line, node.column) for node in scalars(nodes[1])
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"a: \xff\n", "komodod.yaml:1:4: not UTF-8 text: byte 0xff; save the file as UTF-8"),
        (b"\xff\xfea\x00", "komodod.yaml:1:1: not UTF-8 text: byte 0xff; save the file as UTF-8"),
        (b"a: 1\nb: \xc3\xa9\xe9", "komodod.yaml:2:5: not UTF-8 text: byte 0xe9; save the file as UTF-8"),
        (b"a" * (LARGEST + 1), "komodod.yaml: cannot read it: it is larger than 32 MiB"),
    ],
)
def test_a_file_that_is_no_text_is_told(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "komodod.yaml").write_bytes(content)
    assert [str(problem) for problem in load(tmp_path / "komodod.yaml").problems] == [f"{tmp_path}/{complaint}"]


def test_a_file_that_is_no_file_is_told(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "absent", "no such file or directory"), (tmp_path, "is a directory")):
        assert [str(problem) for problem in load(path).problems] == [f"{path}: cannot read it: {reason}"]


def test_reading_into_plain_data_refuses_what_has_mistakes(tmp_path: Path) -> None:
    (tmp_path / "sync.yaml").write_text("every: 5m\nevery: 6m\n")
    with pytest.raises(ConfigError, match=r"sync.yaml:2:1: key 'every' stands twice, first in line 1"):
        load_plain(tmp_path / "sync.yaml")


def test_an_empty_mapping_is_a_mapping() -> None:
    assert isinstance(tree("{}"), Map)
