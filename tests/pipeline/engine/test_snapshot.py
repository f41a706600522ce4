"""Training that was interrupted after an epoch goes on in another network as if it had not been, bit for bit."""

import math

import pytest
import torch
from torch import nn

from pipeline import partial
from pipeline.engine import placement, sparsity, training
from pipeline.errors import CheckpointError, RunStopped
from pipeline.partial import Partial
from pipeline.sections import Training
from tests.pipeline.engine.test_images import make_task
from tests.pipeline.engine.test_training import Recorder, build

EPOCHS = 5


class Stopping(Recorder):
    """Stops after an epoch, once what training goes on from lies in a file."""

    def __init__(self, kept: Partial, after: int | None = None) -> None:
        super().__init__()
        self.kept, self.after, self.beginnings = kept, after, []

    def began(self, epoch, step):
        self.beginnings.append((epoch, step))

    def epoch_finished(self, epoch, step, metrics, make):
        super().epoch_finished(epoch, step, metrics, make)
        if epoch == self.after:
            self.kept.write(make(), history=(), seconds=1.0)
            raise RunStopped


class Dropping(nn.Module):
    """Draws from the global random stream."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = build()
        self.drop = nn.Dropout(0.3)

    def forward(self, x):
        return self.drop(self.inner(x))


def prepared(**changes):
    model = placement.prepare(build(), placement.Scheme(**changes))
    training.calibrate(model, make_task())
    return model


def pruning(model):
    sparsity.attach_masks(model)
    return lambda progress: sparsity.raise_sparsity(model, 0.6 * progress)


def fit(make, watcher, settings, **changes):
    torch.manual_seed(7)
    model = make()
    before = pruning(model) if make is build else None
    task = make_task().with_settings(settings)
    outcome = training.fit(
        model, task, epochs=EPOCHS, learning_rate=0.05, settings=settings, watcher=watcher, before_step=before,
        **changes,
    )  # fmt: skip
    return model, outcome, torch.get_rng_state()


def without_speed(recorder):
    """Compare what was told, without the images in a second; NaN equals NaN."""
    return [
        (epoch, step, {name: str(value) for name, value in metrics.items() if name != "images_per_s"})
        for epoch, step, metrics in recorder.epochs
    ]


@pytest.mark.parametrize("after", [1, 3])
@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (build, {}),
        (build, {"optimizer": "adamw", "ema": 0.9, "mixup": 0.4, "cutout": 0.25}),
        (build, {"ema": 0.95, "keep": "best", "schedule": "one-cycle", "clip_norm": 1.0}),
        (build, {"momentum": 0.0, "keep": "best", "label_smoothing": 0.1}),
        (Dropping, {"optimizer": "adamw", "schedule": "multi-step"}),
        (prepared, {"ema": 0.9}),
        (lambda: prepared(learned_step=True, weight_bits=4), {"optimizer": "adamw", "keep": "best"}),
    ],
)
def test_training_goes_on_as_if_it_had_not_been_interrupted(tmp_path, make, settings, after):
    settings = Training(batch_size=8, device="cpu", **settings)
    kept = Partial(tmp_path / "key.partial")
    whole, first, second = Stopping(kept), Stopping(kept, after), Stopping(kept)
    expected, outcome, stream = fit(make, whole, settings)
    with pytest.raises(RunStopped):
        fit(make, first, settings)
    resume, _ = kept.read()
    model, found, found_stream = fit(make, second, settings, resume=resume)
    assert second.beginnings == [(after, 3 * after)]
    assert second.notes == []
    assert found == outcome
    assert without_speed(first) + without_speed(second) == without_speed(whole)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in expected.state_dict().items())
    assert torch.equal(stream, found_stream)


def test_the_last_good_network_and_the_count_of_bad_steps_outlast_an_interruption(tmp_path):
    settings = Training(batch_size=8, device="cpu")
    kept = Partial(tmp_path / "key.partial")

    def spoiled(begin):
        # As a stage may: the loss of one step of the third epoch, and the metric of the second, are not finite.
        task, count = make_task(), 3 * begin

        def loss(batch, outputs):
            nonlocal count
            count += 1
            return task.loss(batch, outputs) * (math.nan if count in (2, 8) else 1.0)

        return loss

    whole, first, second = Stopping(kept), Stopping(kept, 2), Stopping(kept)
    expected, outcome, _ = fit(build, whole, settings, loss=spoiled(0))
    with pytest.raises(RunStopped):
        fit(build, first, settings, loss=spoiled(0))
    model, found, _ = fit(build, second, settings, loss=spoiled(2), resume=kept.read()[0])
    assert found == outcome
    assert without_speed(second)[-1][2]["bad_steps"] == "2.0"
    assert without_speed(second) == without_speed(whole)[2:]
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in expected.state_dict().items())


@pytest.mark.parametrize("change", ["network", "optimizer", "average", "numbers", "epochs"])
def test_what_does_not_fit_is_left_alone_and_training_starts_over(tmp_path, change):
    settings = Training(batch_size=8, device="cpu", ema=0.9)
    kept = Partial(tmp_path / "key.partial")
    with pytest.raises(RunStopped):
        fit(build, Stopping(kept, 2), settings)
    resume, _ = kept.read()
    match change:
        case "network":
            resume.tensors.pop(next(name for name in resume.tensors if name.startswith("network.")))
        case "optimizer":
            resume.tensors["optimizer.0.momentum_buffer"] = torch.zeros(3)
        case "average":
            settings = Training(batch_size=8, device="cpu")
        case "numbers":
            del resume.numbers["keeper"]
        case "epochs":
            object.__setattr__(resume, "epoch", EPOCHS + 1)
    whole, again = Stopping(kept), Stopping(kept)
    expected, outcome, _ = fit(build, whole, settings)
    model, found, _ = fit(build, again, settings, resume=resume)
    assert again.beginnings == [(0, 0)]
    (note,) = again.notes
    assert note.endswith("of this stage does not fit the network or its settings. The stage starts over.")
    assert found == outcome
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in expected.state_dict().items())


class TestPartial:
    @pytest.fixture
    def kept(self, tmp_path):
        kept = Partial(tmp_path / "key.partial")
        with pytest.raises(RunStopped):
            fit(build, Stopping(kept, 1), Training(batch_size=8, device="cpu"))
        return kept

    def test_one_that_is_not_there_is_nothing(self, tmp_path):
        assert Partial(tmp_path / "key.partial").read() is None

    @pytest.mark.parametrize("keep", [0, 20, 5000, -1])
    def test_one_cut_short_is_damaged(self, tmp_path, kept, keep):
        path = tmp_path / "key.partial"
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(CheckpointError, match="damaged"):
            kept.read()

    def test_one_of_another_format_is_refused(self, tmp_path, monkeypatch, kept):
        monkeypatch.setattr(partial, "FORMAT", 2)
        with pytest.raises(CheckpointError, match="another version"):
            kept.read()

    def test_removing_takes_what_a_killed_writer_left(self, tmp_path, kept):
        (tmp_path / ".key.partial.0123abcd.tmp").write_text("half")
        kept.remove()
        assert not list(tmp_path.iterdir())

    def test_a_folder_that_takes_nothing_is_one_sentence(self, tmp_path, kept):
        resume, _ = kept.read()
        with pytest.raises(CheckpointError, match=r"cannot be kept in .*: No such file or directory"):
            Partial(tmp_path / "absent" / "key.partial").write(resume, history=(), seconds=0.0)

    def test_writing_is_due_a_minute_after_the_last_time(self, monkeypatch, kept):
        now = [1000.0]
        monkeypatch.setattr(partial.time, "monotonic", lambda: now[0])
        fresh = Partial(kept._path)
        assert not fresh.is_due
        now[0] += 60
        assert fresh.is_due
