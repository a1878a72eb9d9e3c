"""Who may use the pages and the API: users, sessions, tokens, failed tries. Rows of the schema `audit`; web/ calls it.

Passwords are kept as argon2id, everything else that opens a door as its SHA-256: it is random, and long enough.
"""
