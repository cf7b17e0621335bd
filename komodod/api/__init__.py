"""The HTTP API over a Unix socket: `komodod.api.server.ApiServer` serves what `komodod.api.service.Service` offers.

FastAPI and uvicorn are imported here and nowhere else.
"""

from __future__ import annotations
