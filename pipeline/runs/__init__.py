"""The read API of the workbench, plus launch and stop."""
