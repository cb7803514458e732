"""The pages of what is declared: tasks, workflows, and what they cost."""
