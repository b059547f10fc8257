"""The engine: recordings in, relation tables and forecasts out; knows no HTTP."""
