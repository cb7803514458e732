"""The pages that start something: forms with a preview, and groups of starts with their progress."""
