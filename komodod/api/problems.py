"""Errors as RFC 9457 problem details, whatever raised them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from komodod.errors import (
    ConfigError,
    Conflict,
    NameTakenError,
    NotFoundError,
    Problem,
    RefusedError,
    StorageError,
    StorageRefusedError,
    UsageError,
)
from komodod.redaction import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"

RETRY_AFTER: Final = "5"
"""Seconds after which it is worth asking again while the store does not answer."""


class ForbiddenError(UsageError):
    """The daemon's configuration does not let this be done over the API."""


class InvalidError(UsageError):
    """A part of the request that has no meaning; `where` names it as validation does (`query.after`)."""

    def __init__(self, where: str, message: str) -> None:
        self.where, self.message = where, message
        super().__init__(f"{where}: {message}")


class Mistake(BaseModel):
    """One thing that is wrong with what was sent."""

    message: str
    where: str | None = Field(description="`file:line:column`, or the part of the request: `query.limit`.")


class ProblemDetails(BaseModel):
    """An error, as RFC 9457 has it."""

    model_config = ConfigDict(title="Problem")

    type: str = Field("about:blank", description="Always `about:blank`: the status says what kind of problem it is.")
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="What was found, where, and what to do; one line.")
    problems: list[Mistake] | None = Field(None, description="All that is wrong, where that can be several things.")


def answer(
    status: int,
    detail: str,
    problems: Iterable[Mistake] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the response that tells of a problem."""
    body = ProblemDetails(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        problems=None if problems is None else list(problems),
    )
    return JSONResponse(body.model_dump(exclude_none=True), status, headers, MEDIA_TYPE)


# Handlers are coroutines because others are run in a thread each.


async def on_usage(_request: Request, error: Exception) -> JSONResponse:
    """Answer a request that cannot be carried out as it stands."""
    status = next((code for kind, code in _STATUSES.items() if isinstance(error, kind)), 409)
    if isinstance(error, InvalidError):
        return answer(status, str(error), [Mistake(message=error.message, where=error.where)])
    return answer(status, str(error))


_STATUSES: Final[Mapping[type[Exception], int]] = {
    NotFoundError: 404,
    NameTakenError: 409,
    RefusedError: 409,
    ForbiddenError: 403,
    InvalidError: 422,
    Conflict: 409,
}


async def on_config(_request: Request, error: Exception) -> JSONResponse:
    """Answer a configuration, or the part of one that a sync is, with all that is wrong with it."""
    assert isinstance(error, ConfigError)  # noqa: S101  it is registered for this type alone
    mistakes = [Mistake(message=problem.message, where=_place(problem)) for problem in error.problems]
    detail = _first([str(problem) for problem in error.problems])
    return answer(422, detail, mistakes)


async def on_storage(_request: Request, error: Exception) -> JSONResponse:
    """Answer while the store does not: whether anything was done is unknown."""
    waiting_helps = not isinstance(error, StorageRefusedError)
    return answer(503, one_line(str(error)), headers={"Retry-After": RETRY_AFTER} if waiting_helps else None)


async def on_http(_request: Request, error: Exception) -> JSONResponse:
    """Answer what the framework refuses: unknown paths, methods, bodies that are too large."""
    assert isinstance(error, HTTPException)  # noqa: S101  it is registered for this type alone
    detail = _DETAILS.get(error.status_code, error.detail)
    return answer(error.status_code, one_line(detail), headers=error.headers)


_DETAILS: Final[Mapping[int, str]] = {
    404: "there is nothing at this path; /api/v1/openapi.json names what there is",
    405: "this path has no such method; the Allow header names those it has",
}


async def on_validation(_request: Request, error: Exception) -> JSONResponse:
    """Answer a request whose parts are not what they should be, with all of them."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  it is registered for this type alone
    mistakes = [_mistake(detail) for detail in error.errors()]
    return answer(422, _first([f"{mistake.where}: {mistake.message}" for mistake in mistakes]), mistakes)


def _mistake(detail: Mapping[str, Any]) -> Mistake:
    """Return pydantic's finding in our words; values are not repeated, since they may be secrets."""
    where = ".".join(str(step) for step in detail["loc"])
    if detail["type"] == "json_invalid":
        return Mistake(message=f"no valid JSON: {detail['ctx']['error'].lower()}", where=where)
    message = one_line(detail["msg"].removeprefix("Value error, "), 300).replace("Input should be", "must be")
    return Mistake(message=f"{message[:1].lower()}{message[1:]}", where=where)


def _place(problem: Problem) -> str | None:
    if problem.file is None:
        return None
    return f"{problem.file}:{problem.line}:{problem.column}" if problem.line else str(problem.file)


def _first(lines: list[str]) -> str:
    """Return the first of the lines, and how many more there are."""
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return one_line(f"{lines[0] if lines else 'not valid'}{more}")


HANDLERS: Final[Mapping[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]]] = {
    UsageError: on_usage,
    Conflict: on_usage,
    ConfigError: on_config,
    StorageError: on_storage,
    HTTPException: on_http,
    RequestValidationError: on_validation,
}
"""What answers which error; anything else is a fault of ours, see `komodod.api.gate`."""
