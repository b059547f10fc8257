"""What `make demo` shows: relations, a forecast against baselines, a picture, a durable job."""
