"""The warehouse: what is planned, built, taken back, compared with its source, and written for other tools.

In comes a Workspace; out go plans, the models under metadata/gold/auto_dw/ with their tables in gold, and builds in the
history. `plan` and `health` write nothing at all. The commands call it, and psql through `sql_api`; no wing does.
"""
