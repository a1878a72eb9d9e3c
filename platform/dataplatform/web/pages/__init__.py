"""The pages, a router for each subject."""

from dataplatform.web.pages import (
    access,
    auto_dw,
    connect,
    docs,
    gallery,
    health,
    oidc,
    quarantine,
    runs,
    settings,
    source_add,
    source_files,
    sources,
    sql,
    tables,
    way,
)

PAGES = [
    module.router
    for module in (
        access, oidc, health, gallery, source_add, source_files, sources, connect, way, tables, quarantine, auto_dw,
        sql, runs, settings, docs,
    )
]  # fmt: skip
