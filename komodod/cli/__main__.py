"""`python -m komodod.cli`, where the script is not on the path."""

from __future__ import annotations

import sys

from komodod.cli import main

sys.exit(main())
