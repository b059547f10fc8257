"""Celery tasks: each takes the reference of a job, does it, and is as thin as an endpoint."""
