"""Every folder that the workbench may touch, and the environment variables that move them."""

import os
from pathlib import Path

import platformdirs

STORE_VARIABLE = "PQD_WORKBENCH_STORE"
"""Environment variable: folder of the runs and their shared stage results."""
CONFIG_VARIABLE = "PQD_WORKBENCH_CONFIG"
"""Environment variable: folder of the settings and the saved presets."""
STATE_VARIABLE = "PQD_WORKBENCH_STATE"
"""Environment variable: folder of what is remembered of the view, and of the workbench's own log."""


def store_folder(chosen: str | None = None) -> Path:
    """Give the folder of the runs; it need not exist.

    Args:
        chosen: what the command line says; None or empty leaves it to the environment and the platform.
    """
    found = chosen or os.environ.get(STORE_VARIABLE)
    return Path(found).expanduser() if found else platformdirs.user_data_path("pqd-workbench", appauthor=False)


def config_folder() -> Path:
    """Give the folder of a person's settings; it need not exist."""
    found = os.environ.get(CONFIG_VARIABLE)
    return Path(found).expanduser() if found else platformdirs.user_config_path("pqd-workbench", appauthor=False)


def presets_folder() -> Path:
    """Give the folder of a person's own presets; it need not exist."""
    return config_folder() / "presets"


def state_folder() -> Path:
    """Give the folder of what is remembered and logged from one session to the next; it need not exist."""
    found = os.environ.get(STATE_VARIABLE)
    return Path(found).expanduser() if found else platformdirs.user_state_path("pqd-workbench", appauthor=False)
