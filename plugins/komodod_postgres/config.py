"""What can be said of a PostgreSQL store in the YAML."""

from __future__ import annotations

from typing import Self

from pydantic import ConfigDict, Field, SecretStr, model_validator

from komodod.durations import Duration  # noqa: TC001  pydantic reads it
from komodod.secrets import SecretFile, SecretFiles

SCHEMES = ("postgresql://", "postgres://")


class PostgresConfig(SecretFiles):
    """The keys beside `type: postgres`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: SecretStr | None = Field(
        None,
        description="`postgresql://user:password@host[:port][,host...]/database?...`, as libpq takes it. Of several "
        "hosts the one that can be written to is used (`target_session_attrs=read-write`, unless it says otherwise).",
    )
    url_file: SecretFile | None = Field(None, description="A file that holds the URL, instead of `url`.")
    connections: int = Field(
        8, ge=1, le=1000, description="The most connections for reads and claims; one writes, one listens beside them."
    )
    idle_connections: int = Field(
        2, ge=0, description="How many of them are kept when there is nothing to do; at most `connections`."
    )
    connect_timeout: Duration = Field(
        5.0, description="How long to try to connect, and to wait for a free connection, before a call fails."
    )
    statement_timeout: Duration = Field(30.0, description="How long the server may work on one statement.")
    lock_timeout: Duration = Field(
        10.0, description="How long a statement may wait for a lock; below `statement_timeout` to be of use."
    )
    notify: bool = Field(
        True,
        description="Whether replicas wake each other with LISTEN and NOTIFY. Set it to false where connections are "
        "shared, as behind pgbouncer in transaction mode: then nothing relies on a connection of one's own, prepared "
        "statements neither.",
    )
    poll: Duration = Field(
        5.0, description="How often to look for the work of other replicas beside that; shorter without `notify`."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.url is None:
            raise ValueError("one of 'url' and 'url_file' is needed")
        if not self.url.get_secret_value().startswith(SCHEMES):
            raise ValueError("the URL of the database starts with 'postgresql://'")
        if self.idle_connections > self.connections:
            raise ValueError(
                f"'idle_connections' is {self.idle_connections}, more than 'connections', which is {self.connections}"
            )
        return self
