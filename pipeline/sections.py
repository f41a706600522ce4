"""The sections of a recipe that are not stages: how the baseline is made, how stages train, how results are measured.

Each is its options: type, bounds, default and help stand once, here.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from pipeline.protocols import Overrides


class Baseline(Struct, frozen=True, kw_only=True):
    """The FP32 start of the pipeline, and the teacher of distill."""

    epochs: (
        Annotated[int, Meta(ge=0, description="train from random weights so long", extra={"unit": "epochs"})] | None
    ) = None
    checkpoint: (
        Annotated[
            str,
            Meta(description="load trained weights instead (.pt, .th, .safetensors)", extra={"path": True}),
        ]
        | None
    ) = None
    learning_rate: Annotated[float, Meta(gt=0, description="peak step size")] = 0.1
    training: Overrides = {}


class Training(Struct, frozen=True, kw_only=True):
    """How a stage trains, in every respect that its own options do not name."""

    batch_size: Annotated[int, Meta(ge=2, le=65536, description="images in a step", extra={"unit": "images"})] = 128
    optimizer: Annotated[Literal["sgd", "adamw"], Meta(description="SGD with Nesterov momentum, or AdamW")] = "sgd"
    momentum: Annotated[
        float, Meta(ge=0, lt=1, description="Nesterov momentum of sgd, decay of the mean gradient of adamw")
    ] = 0.9
    weight_decay: Annotated[
        float,
        Meta(ge=0, lt=1, description="decay of weights; not of biases, normalisation and steps of fake quantisers"),
    ] = 5e-4
    schedule: Annotated[
        Literal["cosine", "constant", "multi-step", "one-cycle"],
        Meta(description="how the step size moves over a stage"),
    ] = "cosine"
    milestones: Annotated[
        tuple[Annotated[float, Meta(gt=0, lt=1)], ...],
        Meta(description="shares of a stage at which multi-step lowers the step size"),
    ] = (0.5, 0.75)
    gamma: Annotated[float, Meta(gt=0, le=1, description="factor of the step size at each milestone")] = 0.1
    warmup: Annotated[
        float, Meta(ge=0, lt=1, description="share of a stage over which the step size rises; one-cycle has its own")
    ] = 0.05
    label_smoothing: Annotated[
        float, Meta(ge=0, lt=1, description="share of each label spread evenly over all classes")
    ] = 0.0
    augment: Annotated[
        Literal["auto", "none", "shift", "shift-flip"],
        Meta(description="what is done to training images; auto: what suits the dataset"),
    ] = "auto"
    cutout: Annotated[
        float, Meta(ge=0, le=1, description="side of a blanked square as a share of the image's; 0: off")
    ] = 0.0
    mixup: Annotated[
        float, Meta(ge=0, le=100, description="alpha of the Beta distribution that blends two images; 0: off")
    ] = 0.0
    clip_norm: Annotated[float, Meta(ge=0, description="largest norm of all gradients together; 0: not clipped")] = 0.0
    ema: Annotated[
        float, Meta(ge=0, lt=1, description="decay of a moving average of the weights, which is what is kept; 0: off")
    ] = 0.0
    keep: Annotated[
        Literal["last", "best"], Meta(description="which epoch of a stage is kept, by the validation metric")
    ] = "last"
    max_bad_steps: Annotated[
        int, Meta(ge=1, description="steps in a row whose loss is not finite that end a stage", extra={"unit": "steps"})
    ] = 10
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Meta(description="of the training's arithmetic; auto: bfloat16 where the device is built for it"),
    ] = "auto"
    compile: Annotated[
        Literal["auto", "on", "off"], Meta(description="train with torch.compile; auto: on a GPU that has triton")
    ] = "auto"
    validation: Annotated[
        float, Meta(gt=0, lt=1, description="share of the training images held out to steer the training")
    ] = 0.1
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Meta(description="where the training runs; auto: the GPU if there is one"),
    ] = "auto"
    teacher_cache_mib: Annotated[
        int,
        Meta(ge=0, description="disk space for the answers of teachers; 0: not kept", extra={"unit": "MiB"}),
    ] = 2048


class Measure(Struct, frozen=True, kw_only=True):
    """How the deployed network is measured."""

    runtimes: Annotated[tuple[str, ...], Meta(description="what executes the deployed file")] = ("onnxruntime",)
    latency: Annotated[
        Literal["quick", "report", "off"],
        Meta(description="quick: 1 s and 200 calls at least; report: 60 s and 1,000; off: left to the verb measure"),
    ] = "quick"
    threads: Annotated[int, Meta(ge=1, le=1024, description="threads of the runtime")] = 1
    batch_sizes: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=4096)], ...],
        Meta(description="images in a call; each size is timed", extra={"unit": "images"}),
    ] = (1,)
    eager_baseline: Annotated[
        bool, Meta(description="time the FP32 baseline in torch, too, which is what most people run today")
    ] = True
