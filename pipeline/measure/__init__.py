"""Accuracy, size and latency of a deployed file."""
