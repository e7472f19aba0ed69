"""What every table of the control database shares: names of constraints, types, the declarative base.

Ids are UUIDv7 text (36 characters), times seconds since 1970 (UTC) as doubles: readable by any tool, the
same on both dialects, and compared without a time zone. Small structures are JSON; what is searched by is
a column. Rows of a tenant carry `tenant_id` and are tied to their parents by composite foreign keys
(`(parent_id, tenant_id)`, `(…, environment)`), so that a child in another tenant or environment cannot exist.
"""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

Id = Annotated[str, mapped_column(sa.Text, primary_key=True)]
"""A row's own UUIDv7."""
Time = Annotated[float, mapped_column(sa.Double)]
"""Seconds since 1970-01-01T00:00Z."""
OptionalTime = Annotated[float | None, mapped_column(sa.Double, nullable=True)]
Metadata = Annotated[dict[str, str], mapped_column(sa.JSON)]
"""The caller's own pairs; called `metadata_`, since `metadata` is the declarative base's."""


class Base(DeclarativeBase):
    """The declarative base of the control database; `gateway.control.schema.metadata()` has all tables."""

    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: sa.Text,
        float: sa.Double,
        bytes: sa.LargeBinary,
        dict[str, Any]: sa.JSON,
        dict[str, str]: sa.JSON,
        list[str]: sa.JSON,
    }


def one_of(column: str, values: tuple[str, ...], name: str | None = None) -> sa.CheckConstraint:
    """A check that `column` holds one of `values` (which are words of ours, never input)."""
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=name or column)
