"""Verdicts: keys, references, roles and what is private, chosen together, with a confidence that was learned.

In come the profiles of a schema and two functions that look up more in the data; out goes an Evaluation, also as the
document that `evaluate --json` prints. It touches no database, no file of the user's and no LLM. `said` and all after
it may call it, and benchmarks/train_autodw.py, which writes learned/.
"""
