"""Drafts of what a person would write: a source's file from files, a URL or a database, keys and columns from records.

In come records and addresses, out go mappings for YAML and notes. `cli/` calls it, and brings the records.
"""
