"""The suite that proves a storage: ours, or a stranger's.

Subclass `StorageContract` in a test module, under a name that starts with `Test`, and say how your store is made:

    class TestMine(StorageContract):
        def make(self, folder, clock):
            return MyStorage(MyStorage.Config(path=folder / "my.db"), context(folder, clock))

        def orphan(self, storage, sync_id):
            ...  # remove the row of the sync, whatever guards it

Every test is a plain function that wants pytest's `tmp_path` and nothing else; no asyncio plugin is needed.
"""

from __future__ import annotations

from komodod.testing.storage_contract.agreement import Agreement
from komodod.testing.storage_contract.batches import Batches
from komodod.testing.storage_contract.claims import Claims, NextDue
from komodod.testing.storage_contract.events import Events, Purge
from komodod.testing.storage_contract.expectations import Expectations
from komodod.testing.storage_contract.invariants import Invariants
from komodod.testing.storage_contract.lists import Counting, Filters, Pages
from komodod.testing.storage_contract.notifications import Notifications
from komodod.testing.storage_contract.roundtrips import RoundTrips
from komodod.testing.storage_contract.syncs import Syncs

__all__ = ["StorageContract"]


class StorageContract(
    Expectations,
    Batches,
    Syncs,
    Notifications,
    Events,
    Purge,
    Claims,
    NextDue,
    Pages,
    Filters,
    Counting,
    RoundTrips,
    Invariants,
    Agreement,
):
    """Every promise of `komodod.storage`, each with a test."""
