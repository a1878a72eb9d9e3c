"""Silver: typed SCD2 tables in Postgres.

plan      which table and column each path of a record belongs to
evolve    makes the tables so (additive changes and widenings only)
rows      from a record to rows of its tables
merge     the fast path: a batch that is the newest, set-based
timeline  what the history of one key is, given everything ever observed of it
rebuild   the sure path: replaces the history of some keys by what timeline says
"""
