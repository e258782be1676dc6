"""Why a metric has no value for a clip."""


class NotMeasurableError(ValueError):
    """The metric is not defined for this clip; the message says why."""


class MissingPackageError(ImportError):
    """The package that computes the metric is not installed; the message names it."""
