"""What the verbs share: options, tables, following a run."""
