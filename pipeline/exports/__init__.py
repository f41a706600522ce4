"""One file per export."""
