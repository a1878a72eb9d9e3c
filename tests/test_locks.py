"""A lock is held until its block ends, whatever the server thinks of connections that idle."""

from __future__ import annotations

import time

import psycopg
import pytest
import sqlalchemy as sa
from conftest import Databases
from dataplatform.errors import BusyError, ServerError
from dataplatform.storage.postgres import exclusive, make_engine, transaction


def test_a_server_that_ends_idle_connections_gives_no_lock_away(databases: Databases) -> None:
    with psycopg.connect(databases.postgres, autocommit=True) as conn:
        name = conn.info.dbname
        conn.execute(f"alter database {name} set idle_session_timeout = 300".encode())
    with psycopg.connect(databases.postgres, autocommit=True) as conn:
        time.sleep(1)
        with pytest.raises(psycopg.OperationalError):  # the limit is there
            conn.execute("select 1")
    engine, another = make_engine(databases.postgres), make_engine(databases.postgres)
    with exclusive(engine, "s.e"):
        time.sleep(1)
        with pytest.raises(BusyError, match="is running already"), exclusive(another, "s.e"):
            pass
    engine.dispose()
    another.dispose()


@pytest.mark.parametrize("limit", ["statement_timeout", "transaction_timeout"])
def test_a_limit_of_the_server_that_ends_a_load_is_told_with_its_remedy(
    databases: Databases, limit: str
) -> None:
    with psycopg.connect(databases.postgres, autocommit=True) as conn:
        conn.execute(f"alter database {conn.info.dbname} set {limit} = 200".encode())
    engine = make_engine(databases.postgres)
    with pytest.raises(ServerError) as caught, transaction(engine) as connection:
        connection.execute(sa.text("select pg_sleep(3)"))
    assert f"alter role … set {limit} = 0" in str(caught.value)
    engine.dispose()
