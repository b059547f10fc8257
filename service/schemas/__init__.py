"""The wire format: what comes in and what goes out, as pydantic types. Knows no arrays."""
