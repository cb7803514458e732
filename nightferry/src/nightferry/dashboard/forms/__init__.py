"""The forms that start something: what they show, and what they send."""
