r"""What the output of a check means.

A JSON object on standard output, and nothing else there, is a report:

    {"revision": "42", "changes": [{"action": "update", "kind": "resource", "name": "vm-7", "diff": "- 1\n+ 2"}]}

`revision` and `diff` may be absent or null. Any other output is text for people, and stands for one change: action
`update`, kind `output`, named by its first line, with the text as its diff.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from komodod.errors import SourceError
from komodod.model import Change, Observation
from komodod.redaction import one_line
from komodod.texts import clean, uncolour

if TYPE_CHECKING:
    from komodod.processes import Ended
    from komodod.redaction import Redactor

IN_STEP: Final = 0
PENDING: Final = 2

TITLE: Final = 200
"""Characters of a name."""

TEXT: Final = 64 * 1024
"""Characters of a text for people."""


def _line(text: str) -> str:
    return one_line(uncolour(text), len(text))


def _check_title(text: str) -> str:
    if not _line(text):
        raise ValueError("there is nothing to see in it")
    return text


Title = Annotated[str, AfterValidator(_check_title)]


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    action: Title
    kind: Title
    name: Title
    diff: str | None = None


class Report(BaseModel):
    """A report that says what it should."""

    model_config = ConfigDict(extra="forbid", strict=True)

    revision: Title | None = None
    changes: tuple[_Change, ...]


def parse(ended: Ended) -> Report | None:
    """Return the report that the output is, or None if it is none, or is cut off."""
    if ended.dropped:
        return None
    try:
        return Report.model_validate_json(ended.stdout)
    except ValidationError:
        return None


def observe(ended: Ended, redactor: Redactor) -> Observation:
    """Return what a check saw that ended with `IN_STEP` or `PENDING`.

    Raises:
        SourceError: it contradicts itself.
    """
    report = parse(ended)
    listed = () if report is None else report.changes
    if ended.status == IN_STEP and listed:
        raise SourceError(
            f"check contradicts itself: exit status 0 says in step, its report lists {len(listed)} changes; let it exit with 2"
        )
    revision = None if report is None or report.revision is None else _title(report.revision, redactor)
    if ended.status == IN_STEP:
        return Observation(revision=revision)
    changes = tuple(_change(change, redactor) for change in listed)
    return Observation(revision=revision, changes=changes or (_summarise(ended, report, redactor),))


def _title(text: str, redactor: Redactor) -> str:
    """Mask first, cut then: half a secret is not recognised."""
    return one_line(redactor.text(_line(text)), TITLE)


def _change(change: _Change, redactor: Redactor) -> Change:
    return Change(
        action=_title(change.action, redactor),
        kind=_title(change.kind, redactor),
        name=_title(change.name, redactor),
        diff=None if change.diff is None else redactor.text(clean(change.diff)),
    )


def _summarise(ended: Ended, report: Report | None, redactor: Redactor) -> Change:
    """Return the one change that stands for a text."""
    text = "" if report is not None else redactor.text(uncolour(clean(ended.stdout.decode("utf-8", "replace"))))
    if ended.dropped:
        text = text.rpartition("\n")[0]  # the last line is cut off, and so may be a secret in it
    titles = (_line(line) for line in text.splitlines())
    name = next((title for title in titles if title), f"exit status {PENDING}")
    shown = text[:TEXT].strip()
    if ended.dropped or len(text) > TEXT:
        shown += "\n… the rest is left out"
    return Change(action="update", kind="output", name=one_line(name, TITLE), diff=shown or None)
