"""Failures, grouped by what caused them."""
