"""The local backend: an engine that does on one machine what AWS does for deployed jobs."""
