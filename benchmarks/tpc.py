"""TPC-H and TPC-DS in the shape that score.py reads: tpc.py FOLDER   (needs duckdb, whose generators it uses)

Two schemas of another making than the public ones: every column begins with its table's short name, keys are
written together (`o_custkey`) or end in `_sk`, facts have up to 34 columns. Keys and references are those of the
specifications (TPC-H 3.0.1, 1.4; TPC-DS 4.0.0, 2.3 and 2.4); roles those of TPC-DS, figure 2.2.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import duckdb

SCALE = {"tpch": 0.05, "tpcds": 0.1}
GENERATE = {"tpch": "call dbgen(sf={})", "tpcds": "call dsdgen(sf={})"}
KEYS = {
    "tpch": "region:r_regionkey nation:n_nationkey supplier:s_suppkey customer:c_custkey part:p_partkey "
    "partsupp:ps_partkey,ps_suppkey orders:o_orderkey lineitem:l_orderkey,l_linenumber",
    "tpcds": "call_center:cc_call_center_sk catalog_page:cp_catalog_page_sk catalog_returns:cr_item_sk,cr_order_number "
    "catalog_sales:cs_item_sk,cs_order_number customer:c_customer_sk customer_address:ca_address_sk "
    "customer_demographics:cd_demo_sk date_dim:d_date_sk household_demographics:hd_demo_sk "
    "income_band:ib_income_band_sk inventory:inv_date_sk,inv_item_sk,inv_warehouse_sk item:i_item_sk "
    "promotion:p_promo_sk reason:r_reason_sk ship_mode:sm_ship_mode_sk store:s_store_sk "
    "store_returns:sr_item_sk,sr_ticket_number store_sales:ss_item_sk,ss_ticket_number time_dim:t_time_sk "
    "warehouse:w_warehouse_sk web_page:wp_web_page_sk web_returns:wr_item_sk,wr_order_number "
    "web_sales:ws_item_sk,ws_order_number web_site:web_site_sk",
}
# what a column's name ends with, and the table it refers to
ENDINGS = {
    "tpch": {
        "regionkey": "region",
        "nationkey": "nation",
        "custkey": "customer",
        "suppkey": "supplier",
        "partkey": "part",
        "orderkey": "orders",
    },
    "tpcds": {
        "date_sk": "date_dim",
        "time_sk": "time_dim",
        "item_sk": "item",
        "cdemo_sk": "customer_demographics",
        "hdemo_sk": "household_demographics",
        "addr_sk": "customer_address",
        "customer_sk": "customer",
        "store_sk": "store",
        "promo_sk": "promotion",
        "reason_sk": "reason",
        "warehouse_sk": "warehouse",
        "ship_mode_sk": "ship_mode",
        "call_center_sk": "call_center",
        "catalog_page_sk": "catalog_page",
        "web_page_sk": "web_page",
        "web_site_sk": "web_site",
        "income_band_sk": "income_band",
    },
}
COMPOSITE = {
    "tpch": [("lineitem", "l_partkey,l_suppkey", "partsupp")],
    "tpcds": [
        ("store_returns", "sr_item_sk,sr_ticket_number", "store_sales"),
        ("catalog_returns", "cr_item_sk,cr_order_number", "catalog_sales"),
        ("web_returns", "wr_item_sk,wr_order_number", "web_sales"),
    ],
}
IMPLIED = {("lineitem", "l_partkey"), ("lineitem", "l_suppkey")}  # by the composite reference
# the specifications say nothing of privacy: what somebody could call private is neither due nor wrong
PRIVATE = {
    "tpch": "customer:c_address,c_phone,c_name,c_acctbal,c_comment "
    "supplier:s_address,s_phone,s_name,s_acctbal "
    "orders:o_clerk ",
    "tpcds": "customer:c_first_name,c_last_name,c_birth_day,c_birth_month,c_birth_year,c_login,c_email_address "
    "customer:c_salutation,c_birth_country "
    "customer_address:ca_street_number,ca_street_name,ca_street_type,ca_suite_number,ca_city,ca_zip "
    "customer_address:ca_county,ca_state,ca_country,ca_gmt_offset "
    "call_center:cc_manager,cc_market_manager,cc_street_number,cc_street_name,cc_street_type "
    "call_center:cc_suite_number "
    "store:s_manager,s_market_manager,s_street_number,s_street_name,s_street_type,s_suite_number "
    "web_site:web_manager,web_market_manager,web_street_number,web_street_name,web_street_type "
    "web_site:web_suite_number "
    "customer_demographics:cd_gender,cd_marital_status,cd_education_status,cd_credit_rating "
    "warehouse:w_street_number,w_street_name,w_street_type,w_suite_number ",
}
FACTS = {"tpcds": "store_sales store_returns catalog_sales catalog_returns web_sales web_returns inventory"}


def keys(name: str) -> dict[str, list[str]]:
    return {table: columns.split(",") for table, columns in (k.split(":") for k in KEYS[name].split())}


def private(name: str) -> list[str]:
    parts = (part.split(":") for part in PRIVATE[name].split())
    return [f"{table}.{column}" for table, columns in parts for column in columns.split(",")]


def references(name: str, columns: dict[str, list[str]]) -> list[dict[str, Any]]:
    found, own = [], keys(name)
    for table, names in columns.items():
        for column in names:
            parent = next((p for end, p in ENDINGS[name].items() if column.endswith(f"_{end}")), None)
            if parent is not None and own[table] != [column]:
                about = {"table": table, "columns": [column], "ref_table": parent, "ref_columns": own[parent]}
                found.append(about | ({"optional": True} if (table, column) in IMPLIED else {}))
    return found + [
        {"table": table, "columns": names.split(","), "ref_table": parent, "ref_columns": own[parent]}
        for table, names, parent in COMPOSITE[name]
    ]


def truth(name: str, columns: dict[str, list[str]]) -> dict[str, Any]:
    facts = FACTS.get(name, "").split()

    def role(table: str) -> str | None:
        return ("fact" if table in facts else "dimension") if facts else None

    return {
        "tables": {t: {"role": role(t), "primary_key": k, "unique_keys": []} for t, k in keys(name).items()},
        "foreign_keys": references(name, columns),
        "secrets": [],
        "sensitive": [],
        "sensitive_optional": private(name),
        "source": f"duckdb {duckdb.__version__}, {name}, scale {SCALE[name]}",
    }


def postgres_type(duck: str) -> str:
    return {"VARCHAR": "text"}.get(duck, duck.lower().replace("decimal", "numeric"))


def generate(name: str, folder: Path) -> None:
    con = duckdb.connect()
    con.execute(f"load {name}")
    con.execute(GENERATE[name].format(SCALE[name]))
    rows = con.execute("""select table_name, column_name, data_type from information_schema.columns
        order by table_name, ordinal_position""").fetchall()
    columns: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in rows:
        columns.setdefault(table, []).append((column, postgres_type(kind)))
    folder.mkdir(parents=True, exist_ok=True)
    lines = folder / "rows.csv"
    with gzip.open(folder / "load.sql.gz", "wt", compresslevel=1) as out:
        out.write(f"drop schema if exists {name} cascade;\ncreate schema {name};\n")
        for table, found in columns.items():
            out.write(f"create table {name}.{table} ({', '.join(map(' '.join, found))});\n")
            con.execute(f"copy {table} to '{lines}' (format csv, header false)")
            out.write(f"copy {name}.{table} from stdin (format csv);\n{lines.read_text()}\\.\n")
        out.write("analyze;\n")
    lines.unlink()
    about = truth(name, {t: [c for c, _ in found] for t, found in columns.items()})
    (folder / "truth.json").write_text(json.dumps(about, indent=1))


if __name__ == "__main__":
    for schema in SCALE:
        generate(schema, Path(sys.argv[1]) / schema)
