"""Starts the real binary and the outside software that the acceptance tests put around it."""
