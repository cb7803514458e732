"""Diagrams of the documents, made from the code: ``python -m tools.diagrams``, or make diagrams."""
