"""Durable asynchronous work: the record in Redis is the truth, everything else is a reminder."""
