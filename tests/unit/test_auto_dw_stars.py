"""What stars are made of: names in the singular, the years of the calendar, the policy for private columns."""

from __future__ import annotations

import pytest
from dataplatform.auto_dw.look.profiles import ColumnProfile
from dataplatform.auto_dw.names.singulars import singular_name
from dataplatform.auto_dw.said.decisions import SchemaDecision
from dataplatform.auto_dw.styles import masks
from dataplatform.auto_dw.styles.calendar import ANY, believed, calendar, days_of, key
from dataplatform.auto_dw.styles.common import Known, ModelDraft, known
from dataplatform.auto_dw.styles.moments import APPLE, MILLISECONDS, SECONDS, SHORT, SPELLED, form_of
from dataplatform.auto_dw.styles.naming import nouns, shared_prefix, snake


@pytest.mark.parametrize(
    ("name", "one"),
    [
        ("customers", "customer"), ("order_lines", "order_line"), ("categories", "category"), ("statuses", "status"),
        ("movies", "movie"), ("warehouses", "warehouse"), ("caches", "cache"), ("people", "person"), ("boxes", "box"),
        ("sales_orders", "sales_order"), ("news", "news"), ("series", "series"), ("status", "status"), ("data", "data"),
        ("clientes", "cliente"), ("detalles_pedido", "detalle_pedido"), ("lineas_de_pedido", "linea_de_pedido"),
        ("profesores", "profesor"), ("ciudades", "ciudad"), ("habitaciones", "habitacion"), ("pais", "pais"),
        ("kunden", "kunde"), ("bestellungen", "bestellung"), ("artikel", "artikel"), ("klanten", "klant"),
        ("facturen", "factuur"), ("adres", "adres"), ("journaux", "journal"), ("lignes_commande", "ligne_commande"),
        ("clienti", "cliente"), ("fatture", "fattura"), ("notas_fiscais", "nota_fiscal"), ("produtos", "produto"),
        ("shop__orders__lines", "shop__order__line"),
    ],
)  # fmt: skip
def test_models_are_called_in_the_singular(name: str, one: str) -> None:
    assert singular_name(name) == one
    assert singular_name(one) == one


def called(*tables: str, known: dict[str, str] | None = None, sourced: bool = False) -> dict[str, str]:
    return nouns({table: table for table in tables}, known or {}, sourced)


def test_what_all_tables_begin_with_is_left_out() -> None:
    assert called("oc_customers", "oc_orders", "oc_order_lines") == {
        "oc_customers": "customer", "oc_orders": "order", "oc_order_lines": "order_line"
    }  # fmt: skip
    assert called("tbl_customers", "DimDates", "facts") == {
        "tbl_customers": "customer", "DimDates": "date", "facts": "fact"
    }  # fmt: skip
    assert shared_prefix(["order", "order_line", "order_status"]) == ""
    assert shared_prefix(["oc_a", "oc_b"]) == ""
    assert shared_prefix(["z_1", "z_2", "z_3"]) == ""


def test_a_source_of_silver_stays_in_the_name() -> None:
    found = called("shop__orders", "shop__orders__lines", "shop__customers", sourced=True)
    assert list(found.values()) == ["shop__order", "shop__order__line", "shop__customer"]


def test_two_tables_are_never_called_the_same() -> None:
    assert called("orders", "order") == {"orders": "orders", "order": "order"}
    assert called("orders", "order", known={"orders": "order"})["orders"] == "order"
    assert len(set(called("orders", "order", "Orders", known={"order": "order"}).values())) == 3


def test_what_is_built_keeps_its_name() -> None:
    assert called("customers", "stores", known={"customers": "customers"}) == {
        "customers": "customers", "stores": "store"
    }  # fmt: skip
    assert snake("OrderDetails") == "order_details"


@pytest.mark.parametrize(
    ("years", "found"),
    [
        ({}, ANY),
        ({2024: 500, 2025: 800}, (2010, 2080)),
        ({1996: 152, 1997: 408, 1998: 270}, (1980, 2050)),
        ({1: 3, 2024: 500, 9999: 700}, (2010, 2080)),
        ({1924: 1, 2024: 500}, (2010, 2080)),  # a slip of the pen
        ({1924: 50, 2024: 500}, (1910, 2080)),  # births of two generations, say
        ({1650: 10, 1700: 10, 2020: 10}, (1640, 2070)),
        ({2024: 1}, (2010, 2080)),
    ],
)
def test_dates_are_believed_around_the_years_that_were_seen(
    years: dict[int, int], found: tuple[int, int]
) -> None:
    assert believed(years) == found


def test_the_calendar_is_made_of_what_models_say() -> None:
    day = ('"shop"."orders"', "ordered_at", 2010, 2080, "")
    draft = ModelDraft("fact_order", "fact", "orders", "select 1", "", {}, known=Known("orders", days=(day,)))
    assert known(draft.text()) == draft.known
    days, old = days_of([draft.text(), "select 1"])
    assert (days, old) == ({day}, False)
    made = calendar(days, old)
    assert made is not None
    assert '"shop"."orders" where "ordered_at" >= date \'2010-01-01\'' in made.sql
    assert "1900-01-01" not in made.sql
    assert calendar([]) is None
    assert days_of(["columns: {a_key: 'day of a, in gold.dim_date'}\n"]) == (frozenset(), True)
    assert "1900-01-01" in (calendar([], True) or made).sql
    assert key("f.d", "f.d", day).endswith("else -2 end")


def test_what_becomes_of_a_private_column() -> None:
    said = SchemaDecision.model_validate(
        {
            "sensitive": "omit",
            "private": {"*mail*": "hash", "*": "mask", "staff.*": "keep"},
            "tables": {"customers": {"sensitive": "keep", "columns": {"email": {"private": "mask"}}}},
        }
    )
    assert said.treatment("customers", "email") == "mask"
    assert said.treatment("customers", "home_Email") == "hash"
    assert said.treatment("staff", "phone") == "keep"
    assert said.treatment("other", "phone") == "mask"
    assert (
        SchemaDecision.model_validate({"tables": {"t": {"sensitive": "hash"}}}).treatment("t", "x") == "hash"
    )
    assert SchemaDecision().treatment("t", "x") == "drop"
    assert SchemaDecision(sensitive="omit").treatment("t", "x") == "drop"


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("email", "text", masks.ADDRESS), ("correo", "text", masks.ADDRESS), ("home_phone", "text", masks.TELEPHONE),
        ("fax", "text", masks.TELEPHONE), ("last_name", "text", masks.NAME), ("apellido", "text", masks.NAME),
        ("birth_date", "date", masks.DAY), ("zip_code", "text", masks.POSTCODE), ("plz", "text", masks.POSTCODE),
        ("salary", "number", masks.AMOUNT), ("notes", "text", masks.TEXT), ("address", "text", masks.TEXT),
        ("username", "text", masks.TEXT), ("details", "json", masks.TEXT),
    ],
)  # fmt: skip
def test_a_mask_knows_what_it_covers(name: str, kind: str, found: str) -> None:
    assert masks.kind_of(ColumnProfile(name, 1, kind, kind, 10)) == found


@pytest.mark.parametrize(
    ("name", "low", "high", "form"),
    [
        ("date", "930101", "981231", SHORT), ("order_date", "20200131", "20241231", SPELLED),
        ("created_at", "1609459200", "1735689600", SECONDS), ("start_time", "0", "1735689600000", MILLISECONDS),
        ("ZTIMESTAMP", "632843030.9", "635475962.8", APPLE), ("ZCOUNT", "632843030", "635475962", None),
        ("date", "930199", "981231", None), ("amount", "930101", "981231", None), ("date_id", "20200131", "20241231", None),
        ("order_date", "1", "9", None), ("hours", "1", "24", None),
    ],
)  # fmt: skip
def test_numbers_that_say_when(name: str, low: str, high: str, form: str | None) -> None:
    column = ColumnProfile(name, 1, "bigint", "integer", 10, low=low, high=high)
    assert form_of(column) == form
