"""The application: sources, stages, linking, storage, exports and the command line."""

from .. import offline  # noqa: F401 - switches off telemetry, so it comes before any dependency
