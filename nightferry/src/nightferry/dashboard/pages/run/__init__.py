"""The pages of one run: what it did and why it ended so, and its log."""
