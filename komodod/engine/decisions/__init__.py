"""Pure decisions: values in, a batch out."""

from __future__ import annotations
