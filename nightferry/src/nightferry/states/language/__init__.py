"""The language: its model, its parser and the rules that a definition must follow."""
