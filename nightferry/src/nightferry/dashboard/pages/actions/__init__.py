"""The pages that act: start, stop, redrive, backfill and test notices; and the record of actions."""
