"""Starts of tasks and executions: start requests, overlap policies and admission."""
