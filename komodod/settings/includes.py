"""Files that a configuration includes."""

from __future__ import annotations

import re
from fnmatch import translate
from pathlib import Path
from typing import TYPE_CHECKING

from komodod.settings import document
from komodod.settings.models import INCLUDED, IncludeEntry
from komodod.settings.nodes import Map, Node, Problems, Scalar, base_of, describe, is_own, shorten
from komodod.settings.substitution import substitute
from komodod.settings.validation import check, sequence, validation_context
from komodod.settings.wording import unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def include(root: Map, variables: Mapping[str, str], problems: Problems) -> list[Map]:
    """Return the roots of all files that the main one includes, each once, in the order of the globs and of names."""
    files: dict[Path, Node] = {}
    for node in sequence(root.get("include"), problems):
        for file in _matches(node, problems):
            files.setdefault(file, node)
    return [part for file in files if (part := _part(file, variables, problems))]


def _matches(node: Node, problems: Problems) -> list[Path]:
    """Return the files that an item of `include:` means; that there are none is a mistake unless it is optional."""
    entry = _entry(node, problems)
    if entry is None:
        return []
    glob, optional = entry
    main = node.file.absolute()
    try:
        found = [file for file in sorted(expand(main.parent, glob)) if file != main]
    except (OSError, ValueError, RuntimeError) as error:
        # Not "no match": what cannot be read may hold syncs, and their absence would delete them.
        problems.at(node, f"cannot tell what {shorten(glob)} matches: {error}")
        return []
    if not found and not optional:
        problems.at(node, f"no file matches {shorten(glob)}; if that is right, write {{glob: ..., optional: true}}")
    return found


def _entry(node: Node, problems: Problems) -> tuple[str, bool] | None:
    if isinstance(node, Scalar) and node.text and not node.spoilt:
        return node.text, False
    if isinstance(node, Map):
        entry = check(IncludeEntry, node, problems, validation_context(base_of(node), {}))
        return (entry.glob, entry.optional) if entry else None
    problems.at(node, f"a glob is needed, or {{glob: ..., optional: true}}, not {describe(node)}")
    return None


def _part(file: Path, variables: Mapping[str, str], problems: Problems) -> Map | None:
    """Return the root of an included file that has one."""
    read = document.load(file)
    problems.found += read.problems
    substitute(read.templates, variables, problems)
    if not isinstance(read.root, Map):
        if read.root is not None:
            problems.at(read.root, f"an included file is a mapping, not {describe(read.root)}")
        return None
    for name, (key, _) in read.root.entries.items():
        if name == "include":
            problems.at(key, "an included file cannot include others; name them in the main file")
        elif name not in INCLUDED and not is_own(name):
            problems.at(key, f"{unknown('key', name, INCLUDED)} (all else belongs in the main file)")
    return read.root


def expand(base: Path, glob: str) -> set[Path]:
    """Return the files and dangling links that a glob matches: `*`, `?`, `[...]`, and `**` for any folders.

    Names that start with a dot are only matched by a dot. A directory that is not there holds nothing; one that cannot
    be read is an error, unlike in `Path.glob`.

    Raises:
        OSError: a directory cannot be read.
    """
    path = base / Path(glob).expanduser()
    found = {Path(path.anchor)}
    for part in path.parts[1:]:
        if part == "**":
            found = {below for above in found for below in _tree(above)}
        elif re.search(r"[*?[]", part):
            found = {below for above in found for below in _children(above, part)}
        else:
            found = {above / part for above in found}
    return {file for file in found if _is_file(file)}


def _is_file(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not path.is_dir()  # a dangling link is one: reading it will say what is wrong


def _children(folder: Path, pattern: str) -> Iterator[Path]:
    matches = re.compile(translate(pattern)).match
    for name in _names(folder):
        if matches(name) and (pattern.startswith(".") or not name.startswith(".")):
            yield folder / name


def _tree(folder: Path) -> Iterator[Path]:
    yield folder
    for name in _names(folder):
        below = folder / name
        if below.is_dir() and not below.is_symlink() and not name.startswith("."):
            yield from _tree(below)


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
