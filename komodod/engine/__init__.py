"""The engine: what komodod decides and does, with time, randomness and the outside as arguments."""

from __future__ import annotations
