"""Start a run as a process of its own, start its recipe again, and ask it to stop.

The pipeline process gets its own session, no standard input and a file for its output: a closed terminal, a dropped
link or the death of whoever launched it does not reach it. It inherits the descriptor that holds ``run.lock``, so
there is no moment between launch and work at which the run looks dead.
"""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import files
from pipeline.errors import RunStoreError
from pipeline.events import StopWhen
from pipeline.runs import queue as queues
from pipeline.runs.state import Status
from pipeline.runs.store import Run, RunStore

if TYPE_CHECKING:
    from pipeline.recipe import Recipe

training_environment = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "GOMP_SPINCOUNT": "10000",
}
"""What the pipeline process is launched with, unless the person who launches it decided otherwise.

The C library keeps the memory of one step for the next: given back to the system, its pages are zeroed again, and a
step took 5 to 8 % longer. A thread that waits for another gives up its core after some microseconds: on two cores of
which another program held one, a step took up to three times as long without. On a quiet machine it costs nothing.
"""


def launch(store: RunStore, recipe: "Recipe", *, queue: bool = False) -> Run:
    """Create a run and start its pipeline process; returns at once.

    Args:
        store: gets the run.
        recipe: what it does.
        queue: the process waits for its turn (``pipeline.runs.queue``).

    Raises:
        RunStoreError: the store cannot be written or the process cannot be started.
    """
    run, lock = store.create(recipe)
    return _start(run, recipe, lock, queue=queue)


def why_not_resumed(status: Status) -> str:
    """Say why a run in that state cannot be resumed, to stand behind its name; empty when it can."""
    if status is Status.FINISHED:
        return "is finished: nothing is left to do; time it again by measure, or change its recipe and launch that"
    return "" if status.is_over else f"is still going on: it is {status.value}"


def relaunch(run: Run, *, queue: bool = False) -> Run:
    """Launch the recipe of an unfinished run once more, word for word; what was trained is reused or continued.

    Args:
        run: stays as it is.
        queue: see ``launch``.

    Returns:
        The new run.

    Raises:
        RecipeError: the recipe does not fit this version.
        RunStoreError: it cannot be resumed, the store cannot be written or the process cannot be started.
    """
    refuse_to_resume(run)
    recipe = run.recipe()
    text = (run.folder / "recipe.toml").read_text(encoding="utf-8")
    again, lock = RunStore(run.store).create(recipe, text=text)
    return _start(again, recipe, lock, queue=queue)


def refuse_to_resume(run: Run) -> None:
    """Do nothing where a run can be resumed.

    Raises:
        RunStoreError: it goes on, or is finished.
    """
    if refused := why_not_resumed(run.state().status):
        raise RunStoreError(f"the run {run.id} {refused}.")


def _start(run: Run, recipe: "Recipe", lock: int, *, queue: bool) -> Run:
    from pipeline import catalog

    environment = training_environment | os.environ
    outside = (recipe.dataset.name, *(entry.recipe.backbone for entry in recipe.plan))
    if any(catalog.is_external(name) for name in outside):
        # A person's own module usually lies where they launch from; the process starts in the run's folder.
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [environment.get("PYTHONPATH"), str(Path.cwd())]))
    command = [sys.executable, "-m", "pipeline", "work", str(run.folder), "--lock", str(lock)]
    try:
        if queue:
            queues.enter(run)
        with run.log_path.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock,),
                cwd=run.folder,
                env=environment,
            )
    except OSError as error:
        raise RunStoreError(f"the pipeline process cannot be started: {error.strerror}.") from error
    finally:
        os.close(lock)
    # Whoever launched it may live on for days: collect the child's exit status, so that no dead entry stays behind.
    threading.Thread(target=process.wait, daemon=True).start()
    return run


def stop(run: Run, when: StopWhen = "now") -> None:
    """Ask a run to end; what its finished stages learnt stays in the store, and an unfinished one can be continued.

    Args:
        run: one that is alive.
        when: ``now``: at its next step; ``epoch``: once the epoch at work is evaluated; ``stage``: once the result of
            the stage at work is stored. While nothing trains, all three mean at the next opportunity. The last word
            holds.

    Raises:
        RunStoreError: the run is not alive, or its folder cannot be written.
    """
    _refuse_unless_alive(run)
    try:
        files.write_text(run.stop_path, when)
    except OSError as error:
        raise RunStoreError(f"the run {run.id} cannot be asked to stop: {error.strerror}.") from error


def withdraw_stop(run: Run) -> None:
    """Let a run go on that was asked to stop after its epoch or stage.

    Raises:
        RunStoreError: the run is not alive, or its folder cannot be written.
    """
    _refuse_unless_alive(run)
    try:
        run.stop_path.unlink(missing_ok=True)
    except OSError as error:
        raise RunStoreError(f"the run {run.id} cannot be told to go on: {error.strerror}.") from error


def _refuse_unless_alive(run: Run) -> None:
    if not run.is_alive():
        raise RunStoreError(f"the run {run.id} is not running: it is {run.state().status.value}.")
