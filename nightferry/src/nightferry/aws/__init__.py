"""The backend interface on AWS, and what else people do there by hand."""
