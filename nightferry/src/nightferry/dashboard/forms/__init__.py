"""The fields of forms that start a task or a workflow, and the request that a person entered."""
