"""The pure interpreter: history in, events and commands out."""
