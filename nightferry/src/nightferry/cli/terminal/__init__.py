"""Code that the verbs share: options, tables, following runs."""
