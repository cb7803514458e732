"""The background jobs of a state's Paid Leave API, built on Nightferry."""
