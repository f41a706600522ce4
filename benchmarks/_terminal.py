"""What the benchmark of the terminal starts beside the workbench: an empty app, a plain plot, a run that goes on.

python benchmarks/_terminal.py empty
python benchmarks/_terminal.py plots STORE RUN HOW_MANY SECONDS
python benchmarks/_terminal.py write STORE SECONDS
"""

import fcntl
import os
import sys
import time
from pathlib import Path

EVENTS_PER_S = 4.0


def empty() -> None:
    """The least that Textual can show."""
    from textual.app import App, ComposeResult
    from textual.widgets import Static

    class Empty(App[None]):
        def compose(self) -> ComposeResult:
            yield Static("nothing here")

    Empty().run()


def plots(store: str, run_id: str, count: int, beat_s: float) -> None:
    """The curves of a run in plain plots of textual-plotext, drawn again every so many seconds."""
    from textual.app import App, ComposeResult
    from textual.containers import Grid
    from textual_plotext import PlotextPlot

    from pipeline.runs.state import History
    from pipeline.runs.store import RunStore

    run = RunStore(Path(store)).run(run_id)
    names = ("top1", "loss", "learning_rate", "images_per_s")[:count]

    class Plots(App[None]):
        CSS = "Grid { grid-size: 2; }"

        def compose(self) -> ComposeResult:
            with Grid():
                for name in names:
                    yield PlotextPlot(id=name)

        def on_mount(self) -> None:
            self.offset, self.history = 0, History()
            self.set_interval(beat_s, self.draw)
            self.draw()

        def draw(self) -> None:
            events, self.offset = run.events(self.offset)
            for event in events:
                self.history.add(event)
            for name in names:
                plot = self.query_one(f"#{name}", PlotextPlot)
                plot.plt.clear_data()
                plot.plt.plot(*self.history.series.get(name, ([0.0], [0.0])), marker="braille")
                plot.plt.title(name)
                plot.refresh()

    Plots().run()


def write(store: str, seconds: float) -> None:
    """A run at work, its lock held: half of its baseline at once, then four events a second."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "docs"))
    import demo
    import msgspec

    from pipeline.runs.log import EventWriter
    from pipeline.runs.store import RunStore

    of = demo.recipe_of("PQD", "resnet18", 0.8, 0, 60)
    story = demo.Story(of, 0.0, 1)
    first, events = story.begin(), list(story.train(0))
    half = len(events) // 2
    run, lock = RunStore(Path(store)).create(of)
    fcntl.flock(lock, fcntl.LOCK_EX)
    shift_s = time.time() - events[half].time_s
    with EventWriter(run.events_path) as writer, run.log_path.open("w") as log:
        for event in (first, *events[:half]):
            writer.append(msgspec.structs.replace(event, time_s=event.time_s + shift_s))
        print(run.id, flush=True)
        end_s = time.monotonic() + seconds
        for event in events[half:]:
            time.sleep(1 / EVENTS_PER_S)
            if time.monotonic() > end_s:
                break
            writer.append(msgspec.structs.replace(event, time_s=time.time()))
            log.write(f"{time.strftime('%H:%M:%S')} step {getattr(event, 'step', '')}\n")
            log.flush()
    os.close(lock)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    what, *rest = sys.argv[1:]
    if what == "empty":
        empty()
    elif what == "plots":
        plots(rest[0], rest[1], int(rest[2]), float(rest[3]))
    else:
        write(rest[0], float(rest[1]))
