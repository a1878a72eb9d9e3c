"""The pages and the API: FastAPI, Jinja2, HTMX. Shows what reading/ gives and acts through what the commands use, too.

`server.py` starts it, `app.py` puts it together; `pages/` and `api/` hold a router for each subject. Whoever adds a
router (webhooks, say) includes it in `app.py`.
"""
