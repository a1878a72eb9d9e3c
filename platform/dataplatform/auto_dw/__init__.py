"""Says what every table and column of a schema is, and builds the warehouse from it.

In wings, each of which imports only those before it (tests/test_layout.py): `names` (what names say), `look` (what is
read from Postgres), `judge` (verdicts from both), `said` (what people and an LLM add), `styles` (the warehouse that
follows), `build` (plan, go, undo, and the same from SQL), `experiments` (what models and prompts are worth). Beside
them lie `workspace.py`, what all of them work on, and `tables.py`, the schema in Postgres where they remember.
"""
