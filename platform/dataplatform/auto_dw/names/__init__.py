"""What names say: their words, what those mean, and how a name is meant that is written otherwise.

In come names as text, alone or those of a schema; out go words, likenesses of two names, meant names. It knows neither
tables nor databases, and any wing may call it.
"""
