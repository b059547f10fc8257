"""What is known about pairs: tables, selections and answers; arrays to wire."""
