"""Prefect glue: tasks, artifacts, events, deployments. Only this package and flows/ import prefect."""
