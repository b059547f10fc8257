"""Offline jobs, one file per verb: ``python -m training <verb>``."""
