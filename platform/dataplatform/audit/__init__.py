"""Audit: what ran, what each load did, how far cursors are, what changed in schemas; and the outbox."""
