"""The declarations of an application, checked when they are declared. No I/O."""
