"""Offline jobs, one module per verb: ``python -m training VERB``."""
