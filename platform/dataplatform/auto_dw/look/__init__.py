"""What is read from Postgres: profiles of tables, of their columns and their values, read-only and within time limits.

In come a Workspace or a connection and the tables to leave out; out go profiles, shares of values that lie in one
another, and hashes of rows. Values leave it only in `sample`, and none is kept. `judge` and all after it may call it;
it judges nothing.
"""
