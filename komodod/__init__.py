"""komodod: a reconciliation daemon whose alerts go away when what they are about does.

What a plugin needs is here, in `komodod.storage`, `komodod.source`, `komodod.notifier`, `komodod.invariant`,
`komodod.model` and `komodod.errors`; `komodod.hookspecs` says which hooks there are, `komodod.testing` proves a plugin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from komodod.hookspecs import hookimpl

__version__ = "0.1.0"

PLUGIN_API: Final = 1
"""The number of the plugin interface; what it promises changes only by deprecation."""


def __getattr__(name: str) -> Any:
    """Import `hookimpl` when it is asked for: the command line's client side has no use for pluggy."""
    if name == "hookimpl":
        from komodod.hookspecs import hookimpl  # noqa: PLC0415  see above

        return hookimpl
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["PLUGIN_API", "__version__", "hookimpl"]
