"""The engine: launcher and executor."""
