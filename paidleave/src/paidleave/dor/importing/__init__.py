"""The import of a received file: its life cycle, staging, rejects, report."""
