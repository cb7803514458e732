"""The declarations of an application, checked when they are made. No I/O."""
