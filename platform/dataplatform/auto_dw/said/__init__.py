"""What people and an LLM say about a schema: comments, decisions, metadata of sources, answers; and what comes of it.

In come profiles and verdicts; out go verdicts in which a person's word outranks everything and an LLM's fills what was
left empty, and questions to ask. It writes COMMENTs, metadata/auto_dw.yaml and the answers it keeps, nothing else.
`styles` and `build` may call it, and the commands.
"""
