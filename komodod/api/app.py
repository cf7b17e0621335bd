"""The FastAPI application: routes, errors and an OpenAPI document that says what is so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI

import komodod
from komodod.api.gate import Gate
from komodod.api.problems import HANDLERS, MEDIA_TYPE, ProblemDetails
from komodod.api.routes import alerts, daemon, events, health, hook_calls, notifications, passes, syncs

if TYPE_CHECKING:
    from komodod.api.call import Hub

PREFIX: Final = "/api/v1"

_NO_TELEMETRY: Final[Any] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""Left alone, FastAPI sends traces to wherever environment variables say."""


class Application(FastAPI):
    """A FastAPI whose OpenAPI document tells of every error as the problem it is, and of the op_id."""

    def openapi(self) -> dict[str, Any]:
        """Return the document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = _complete(super().openapi())
        return self.openapi_schema


def build(hub: Hub) -> FastAPI:
    """Return the application that answers for a daemon."""
    app = Application(
        title="komodod",
        version=komodod.__version__,
        summary="A reconciliation daemon whose alerts go away when what they are about does.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # a page that loads its parts from the internet has no place on a Unix socket
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
        generate_unique_id_function=lambda route: route.name,
        exception_handlers=dict(HANDLERS),
    )
    app.state.hub = hub
    app.add_middleware(Gate, log=hub.log)
    for part in (syncs, alerts, notifications, hook_calls, events, passes, daemon):
        app.include_router(part.router, prefix=PREFIX)
    app.include_router(health.router)
    return app


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with what the gate and the error handlers do, in place of FastAPI's own errors."""
    components = document["components"]
    schema = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    components["schemas"].update(schema.pop("$defs"), Problem=schema)
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components |= _COMPONENTS
    for path in document["paths"].values():
        for operation in path.values():
            operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/OpId"})
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"$ref": "#/components/responses/Problem"}
    return document


_COMPONENTS: Final[dict[str, Any]] = {
    "parameters": {
        "OpId": {
            "name": "X-Op-Id",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "format": "uuid"},
            "description": "The id that the operation is to have; every response has the header too.",
        }
    },
    "responses": {
        "Problem": {
            "description": "What went wrong.",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    },
}
