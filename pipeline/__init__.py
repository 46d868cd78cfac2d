"""The application: sources, stages, linking, storage, exports and the command line."""
