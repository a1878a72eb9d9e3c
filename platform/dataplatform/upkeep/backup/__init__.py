"""One archive of all that the platform knows: made (make), kept (keep), tried (verify), put back (restore).

In comes what the composition root has opened (`Stores`), out go archives and reports; cli/, flows/ and bootstrap call.
The stores are parts with the same words each: postgres_part, mongo_part, files_part.
"""
