"""The migrations make the tables that the code describes."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from gateway.outgoing.schema import metadata
from gateway.system.database import Database

_OTHERS = {"alembic_version", "schema_version"}


def test_the_schema_is_the_one_described(location_database: Database) -> None:
    def ours(thing: object, name: str | None, kind: str, *_: object) -> bool:
        return not (kind == "table" and name in _OTHERS)

    with location_database.read() as connection:
        options = {"include_object": ours, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata()) == []


def test_every_row_of_a_tenant_says_whose_it_is() -> None:
    of_the_installation = {"incarnation", "lookup_mark", "audit_head", "audit_payloads", "feed_reader"}
    without = {table.name for table in metadata().tables.values() if "tenant_id" not in table.columns}
    assert without == of_the_installation
