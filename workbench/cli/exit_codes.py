"""What the exit code of ``pqd-workbench`` means, and which error leads to which."""

from pipeline import errors
from pipeline.runs.state import Status

DONE = 0
RUN_FAILED = 1
USAGE = 2
NOT_FOUND = 3
RUN_LOST = 4
RUN_STOPPED = 5
TROUBLE = 6
DETACHED = 130

MEANINGS: dict[int, str] = {
    DONE: "done",
    RUN_FAILED: "the run or a check failed",
    USAGE: "wrong usage, recipe or data",
    NOT_FOUND: "no such run or preset",
    RUN_LOST: "the run is lost: its process died without a word",
    RUN_STOPPED: "the run was stopped",
    TROUBLE: "an export, a measurement or the store failed",
    DETACHED: "left by Ctrl-C; a run that was followed goes on",
}
"""One phrase for each code, as printed by ``--help``."""

BY_STATUS: dict[Status, int] = {
    Status.FINISHED: DONE,
    Status.FAILED: RUN_FAILED,
    Status.LOST: RUN_LOST,
    Status.STOPPED: RUN_STOPPED,
}
"""How a run that is over ends the command that followed it."""

BY_ERROR: dict[type[errors.PipelineError], int] = {
    errors.PipelineError: RUN_FAILED,
    errors.RecipeError: USAGE,
    errors.PluginError: USAGE,
    errors.DatasetError: USAGE,
    errors.CheckpointError: USAGE,
    errors.FilterError: USAGE,
    errors.ExportError: TROUBLE,
    errors.MeasurementError: TROUBLE,
    errors.RunStoreError: TROUBLE,
    errors.RunNotFound: NOT_FOUND,
}
"""The nearest class in an error's ancestry decides."""


class Refusal(Exception):
    """The command line asks for something that cannot be; its text is one clear sentence."""

    def __init__(self, sentence: str, code: int = USAGE) -> None:
        super().__init__(sentence)
        self.code = code


def code_of(error: errors.PipelineError | Refusal) -> int:
    """Give the exit code of an error."""
    if isinstance(error, Refusal):
        return error.code
    return next(BY_ERROR[kind] for kind in type(error).__mro__ if kind in BY_ERROR)
