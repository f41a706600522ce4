"""Every error that this project raises on purpose.

PipelineError
├── RecipeError            a recipe, preset or option is wrong: where, what was found, what is allowed
├── PluginError
│   ├── UnknownPlugin      no such stage, backbone, dataset, export or runtime; the nearest names
│   ├── MissingDependency  a package is absent or does not match; what to install
│   └── BrokenPlugin       a plug-in failed while it was imported
├── DatasetError           data is absent, unreadable or of the wrong shape
├── CheckpointError        a file of weights cannot be read or does not fit the backbone
├── StageError             a stage cannot be applied to this network, or its training failed
│   └── TrainingDiverged   the loss stays infinite or NaN
├── ExportError            an export could not be written
│   └── OutputMismatch     a written file does not compute what the trained network computes
├── MeasurementError       a number could not be measured
├── FilterError            a filter of runs cannot be understood: which term, what is allowed
└── RunStoreError
    ├── RunNotFound        no run of that id or name
    └── CorruptRun         a file of a run cannot be read: file, line, reason

RunStopped is not among them: it derives from BaseException, so that no plug-in's
``except Exception`` can swallow a person's wish to stop.
"""


class PipelineError(Exception):
    """Base of all errors that a person can act on; its text is one clear sentence."""


class RecipeError(PipelineError):
    """A recipe is wrong; says where, what was found and what is allowed."""


class PluginError(PipelineError):
    """Something that a recipe names cannot be used."""


class UnknownPlugin(PluginError):
    """No plug-in has that name."""


class MissingDependency(PluginError):
    """A plug-in needs a package that is absent or does not match the others."""


class BrokenPlugin(PluginError):
    """A plug-in's module failed to import."""


class DatasetError(PipelineError):
    """A dataset is absent, unreadable or of the wrong shape."""


class CheckpointError(PipelineError):
    """A file of weights cannot be read or does not fit the network."""


class StageError(PipelineError):
    """A stage cannot be applied to this network, or its training failed."""


class TrainingDiverged(StageError):
    """The loss stays infinite or NaN; the network that was trained holds its last good state again."""


class ExportError(PipelineError):
    """An export could not be written."""


class OutputMismatch(ExportError):
    """A written file does not compute what the trained network computes."""


class MeasurementError(PipelineError):
    """A number could not be measured."""


class FilterError(PipelineError):
    """A filter of runs cannot be understood; says which term and what is allowed."""


class RunStoreError(PipelineError):
    """The store of runs cannot do what was asked."""


class RunNotFound(RunStoreError):
    """No run has that id or name."""


class CorruptRun(RunStoreError):
    """A file of a run cannot be read."""


class RunStopped(BaseException):
    """A person asked the run to stop; raised between two steps, never inside one."""
