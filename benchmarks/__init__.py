"""How fast the service answers on this machine: ``python -m benchmarks``."""
