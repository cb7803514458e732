"""What an environment sets: its file, its `[aws]` or `[engine]` table, the project around it."""
