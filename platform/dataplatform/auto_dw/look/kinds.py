"""Kinds of columns: what values of a type are to auto_dw, whatever Postgres calls it."""

from __future__ import annotations

INTEGER, NUMBER, TEXT, UUID = "integer", "number", "text", "uuid"
NUMERIC = (INTEGER, NUMBER)
DATE, TIME, CLOCK = "date", "timestamp", "time"
BOOLEAN, JSON, BINARY, OTHER = "boolean", "json", "binary", "other"
