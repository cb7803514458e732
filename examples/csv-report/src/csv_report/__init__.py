"""A report on each CSV file that arrives in a bucket."""
