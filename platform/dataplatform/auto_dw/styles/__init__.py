"""How a warehouse is built from an evaluation: kimball or data_vault.

In comes a Design: profiles, verdicts and a person's decisions; out go drafts of gold models, SQL and header. It reads
and writes nothing. Only `build` calls it.
"""
