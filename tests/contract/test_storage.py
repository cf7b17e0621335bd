from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from komodod.context import Context
from komodod.testing.memory import MemoryConfig, MemoryStorage
from komodod.testing.storage_contract import StorageContract
from komodod_postgres import PostgresConfig, PostgresStorage
from komodod_sqlite import SqliteConfig, SqliteStorage

if TYPE_CHECKING:
    from random import Random

    from komodod.clock import Clock
    from komodod.storage import Storage


def _context(folder: Path, clock: Clock) -> Context:
    return Context(name="test", state_dir=folder, clock=clock, log=structlog.get_logger())


class TestMemoryStorage(StorageContract):
    def make(self, folder: Path, clock: Clock) -> Storage:
        return MemoryStorage(MemoryConfig(), _context(folder, clock))

    def remake(self, storage: Storage, folder: Path, clock: Clock) -> Storage:
        return storage

    def orphan(self, storage: Storage, sync_id: str) -> None:
        assert isinstance(storage, MemoryStorage)
        storage.syncs.discard(sync_id)


class TestSqliteStorage(StorageContract):
    def make(self, folder: Path, clock: Clock) -> Storage:
        return SqliteStorage(SqliteConfig(), _context(folder, clock))

    def orphan(self, storage: Storage, sync_id: str) -> None:
        with closing(sqlite3.connect(storage.context.state_dir / "komodod.db")) as shell:  # foreign keys are off here
            [[trigger]] = shell.execute("SELECT sql FROM sqlite_schema WHERE name = 'syncs_with_open_alert'")
            shell.execute("DROP TRIGGER syncs_with_open_alert")
            shell.execute("DELETE FROM syncs WHERE id = ?", (sync_id,))
            shell.execute(trigger)
            shell.commit()

    @given(random=st.randoms(use_true_random=False), steps=st.integers(1, 40))
    @settings(
        max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors]
    )
    def test_no_work_that_can_be_thought_of_has_another_outcome_in_memory(self, random: Random, steps: int) -> None:
        with TemporaryDirectory() as folder:
            self.duel(Path(folder), random, steps)


class TestPostgresStorage(StorageContract):
    @pytest.fixture(autouse=True)
    def _lend(self, databases: Any) -> None:
        self._databases = databases
        self._urls: dict[Path, str] = {}

    def make(self, folder: Path, clock: Clock) -> Storage:
        if folder not in self._urls:
            self._urls[folder] = self._databases.create()
        config = PostgresConfig.model_validate({"url": self._urls[folder]})
        return PostgresStorage(config, _context(folder, clock), clock)

    def orphan(self, storage: Storage, sync_id: str) -> None:
        url = self._urls[storage.context.state_dir]
        with psycopg.connect(url, autocommit=True) as shell:
            shell.execute("SET session_replication_role = replica")  # foreign keys are not looked at then
            shell.execute("DELETE FROM komodod.syncs WHERE id = %s", (sync_id,))
