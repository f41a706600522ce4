"""The terminal workbench: the app and the headless verbs."""
