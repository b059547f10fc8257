"""The API and its workers: request, validation, batch, runtime, response."""
