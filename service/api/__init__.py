"""HTTP only: one router per resource, thin; what is true is decided below."""
