"""Find out whether a database holds what this program never wrote, to explain an error in reading it."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import Column, Connection, DateTime, Double, Integer, LargeBinary, String, TypeDecorator
from sqlalchemy.types import TypeEngine

from ..schema import Base

STORED_AS = (  # SQLite's names of stored values; a column of any type may hold any of them
    (Integer, "'integer'"), (Double, "'real', 'integer'"), (LargeBinary, "'blob'"), (DateTime, "'text'"),
    (String, "'text'"),
)
BEFORE_CHRIST_SECONDS, YEAR_10000_SECONDS = -62135596800, 253402300800  # what Python's calendar cannot hold
ROWS_CHECKED = 10_000  # per table, of the texts that only Python can check


def find_damage(connection: Connection) -> str:
    """The first problem found in an SQLite database, in a few words; empty if there is none.

    Checked are SQLite's own structures, references between tables, the type of every value, times, and JSON.

    Args:
        connection: to a database whose tables are of our revision.
    """
    if connection.dialect.name != "sqlite":
        return ""  # the server checks types
    state = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if state != "ok":
        return " ".join(str(state).split())
    orphan = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if orphan is not None:
        return f"a row of {orphan[0]} refers to a row of {orphan[2]} that does not exist"
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if _holds(connection, column, _wrong_value(column)):
                return f"{table.name}.{column.name} holds a value of another type or range"
    return _bad_text(connection)


def _wrong_value(column: Column[object]) -> str:
    """An SQL condition that is true for values which this program would not write."""
    kind = _plain(column.type)
    name = f'"{column.name}"'
    allowed = next(names for one, names in STORED_AS if isinstance(kind, one))
    wrong = f"typeof({name}) NOT IN ({allowed}{', ' + chr(39) + 'null' + chr(39) if column.nullable else ''})"
    if column.name.endswith("seconds"):
        wrong += f" OR {name} NOT BETWEEN {BEFORE_CHRIST_SECONDS} AND {YEAR_10000_SECONDS}"
    if column.name in ("embedding", "mask"):
        wrong += f" OR length({name}) NOT IN (dims{', 1' if column.name == 'mask' else ''}) OR dims < 1"
    return wrong


def _plain(kind: TypeEngine[object]) -> TypeEngine[object]:
    return kind.impl_instance if isinstance(kind, TypeDecorator) else kind


def _holds(connection: Connection, column: Column[object], condition: str) -> bool:
    found = connection.exec_driver_sql(f'SELECT 1 FROM "{column.table.name}" WHERE {condition} LIMIT 1')
    return found.first() is not None


def _bad_text(connection: Connection) -> str:
    """The first text that should be a time or JSON and is not."""
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            is_time = isinstance(_plain(column.type), DateTime)
            if not is_time and column.name not in ("config", "homography", "inputs", "newest"):
                continue
            query = f'SELECT "{column.name}" FROM "{table.name}" WHERE "{column.name}" IS NOT NULL LIMIT {ROWS_CHECKED}'
            for (text,) in connection.exec_driver_sql(query):
                try:
                    if is_time:
                        datetime.fromisoformat(text)
                    else:
                        json.loads(text)
                except ValueError:
                    return f"{table.name}.{column.name} holds {text[:40]!r}"
    return ""
