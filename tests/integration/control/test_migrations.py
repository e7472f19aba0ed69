"""Schemas on both databases: what the scripts make is what the models say; newer ones are refused."""

from __future__ import annotations

from typing import Literal

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from gateway.control.schema import metadata
from gateway.system.database import Database, SchemaTooNew, SchemaTooOld, schema_state, upgrade


def _names(database: Database) -> set[str]:
    with database.read() as connection:
        return set(sa.inspect(connection).get_table_names())


def test_the_scripts_make_what_the_models_say(control_database: Database) -> None:
    def ours(obj: object, name: str | None, kind: str, reflected: bool, compared: object) -> bool:
        return not (kind == "table" and name in ("alembic_version", "schema_version"))

    with control_database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": ours})
        assert compare_metadata(context, metadata()) == []
        inspector = sa.inspect(connection)
        for table in metadata().sorted_tables:
            checks = {check["name"] for check in inspector.get_check_constraints(table.name)}
            expected = {
                str(constraint.name)
                for constraint in table.constraints
                if isinstance(constraint, sa.CheckConstraint)
            }
            assert checks == expected, table.name


@pytest.mark.parametrize("which", ["control", "location"])
def test_upgrading_an_empty_database_and_again(
    database_url: str, which: Literal["control", "location"]
) -> None:
    with Database.open(database_url, purpose=which) as database:
        assert schema_state(database, which).version == 0
        state = upgrade(database, which)
        assert state.is_current
        assert state.version == state.program
        tables = _names(database)
        assert upgrade(database, which) == state
        assert _names(database) == tables


def test_a_person_upgrades_where_the_configuration_says_so(database_url: str) -> None:
    with Database.open(database_url, purpose="control") as database:
        with pytest.raises(SchemaTooOld, match="gatepost db upgrade"):
            upgrade(database, "control", "manual")
        assert _names(database) == set()
        upgrade(database, "control")
        assert upgrade(database, "control", "manual").is_current


def _pretend(database: Database, version: int, oldest: int) -> None:
    with database.write() as connection:
        connection.execute(
            sa.text("UPDATE schema_version SET version = :version, oldest = :oldest"),
            {"version": version, "oldest": oldest},
        )


def test_a_schema_that_needs_a_newer_program_is_refused_and_not_touched(control_database: Database) -> None:
    _pretend(control_database, 9, 8)
    for mode in ("auto", "manual"):
        with pytest.raises(SchemaTooNew, match=r"needs a program that knows schema 8.*Nothing was changed"):
            upgrade(control_database, "control", mode)  # type: ignore[arg-type]
    assert schema_state(control_database, "control").version == 9


def test_a_newer_schema_that_this_program_may_still_use(control_database: Database) -> None:
    _pretend(control_database, 9, 1)
    state = upgrade(control_database, "control")
    assert (state.version, state.is_current) == (9, True)


def test_a_script_that_fails_leaves_the_schema_as_it_was(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("power failure")

    with Database.open(database_url, purpose="control") as database:
        monkeypatch.setattr("gateway.system.database.schema._write_state", fail)
        with pytest.raises(RuntimeError, match="power failure"):
            upgrade(database, "control")
        assert _names(database) == set()
        monkeypatch.undo()
        assert upgrade(database, "control").is_current
