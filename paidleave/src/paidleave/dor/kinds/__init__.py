"""The kinds of received files and their rules."""
