"""The OpenAPI document says what there is, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from starlette.routing import Route

from komodod.api.app import build
from komodod.api.call import Hub
from komodod.clock import SystemClock
from komodod.testing.fakes import fake_context

if TYPE_CHECKING:
    from fastapi import FastAPI

DOCUMENTED = """
GET    /api/v1/status
GET    /api/v1/syncs
POST   /api/v1/syncs
GET    /api/v1/syncs/{name}
PATCH  /api/v1/syncs/{name}
DELETE /api/v1/syncs/{name}
GET    /api/v1/syncs/{name}/changes
POST   /api/v1/syncs/{name}/check
POST   /api/v1/syncs/{name}/apply
POST   /api/v1/syncs/{name}/pause
POST   /api/v1/syncs/{name}/resume
GET    /api/v1/alerts
GET    /api/v1/alerts/{alert_id}
GET    /api/v1/notifications
GET    /api/v1/notifications/{notification_id}
DELETE /api/v1/notifications/{notification_id}
POST   /api/v1/notifications/{notification_id}/retry
GET    /api/v1/hook-calls
GET    /api/v1/hook-calls/{call_id}
DELETE /api/v1/hook-calls/{call_id}
POST   /api/v1/hook-calls/{call_id}/retry
GET    /api/v1/events
GET    /api/v1/events/stream
GET    /api/v1/passes
POST   /api/v1/passes
GET    /api/v1/plugins
POST   /api/v1/config/reload
POST   /api/v1/storage/backup
GET    /healthz
GET    /readyz
"""


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """The application, of which only the document is asked for."""
    log = fake_context("api", SystemClock()).log
    return build(Hub(cast("Any", None), Path("/nowhere"), log))


def operations(app: FastAPI) -> dict[tuple[str, str], Any]:
    paths = app.openapi()["paths"].items()
    return {(method.upper(), path): operation for path, methods in paths for method, operation in methods.items()}


def test_every_documented_route_is_in_the_document_and_no_other(app: FastAPI) -> None:
    assert set(operations(app)) == {(line.split()[0], line.split()[1]) for line in DOCUMENTED.strip().splitlines()}


def test_every_operation_tells_of_problems_and_of_the_op_id(app: FastAPI) -> None:
    for operation in operations(app).values():
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}
        assert {"$ref": "#/components/parameters/OpId"} in operation["parameters"]
        assert "422" not in operation["responses"]


def test_every_operation_says_what_it_does_and_what_it_answers(app: FastAPI) -> None:
    for place, operation in operations(app).items():
        assert operation["description"], place
        best = min(operation["responses"])
        assert operation["responses"][best]["content"], place


def test_every_mutation_can_be_tried_dry(app: FastAPI) -> None:
    for (method, path), operation in operations(app).items():
        names = {parameter.get("name") for parameter in operation["parameters"]}
        assert ("dry_run" in names) == (method != "GET"), (method, path)


def test_every_reference_leads_somewhere(app: FastAPI) -> None:
    document = app.openapi()

    def follow(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                target = document
                for step in node["$ref"].removeprefix("#/").split("/"):
                    target = target[step]
            node = list(node.values())
        if isinstance(node, list):
            for inner in node:
                follow(inner)

    follow(document)


def test_nothing_is_served_that_loads_its_parts_from_the_internet(app: FastAPI) -> None:
    plain = {route.path for route in app.routes if type(route) is Route}
    assert plain == {"/api/v1/openapi.json"}
