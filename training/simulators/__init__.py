"""Generators of data whose true relations are known."""
