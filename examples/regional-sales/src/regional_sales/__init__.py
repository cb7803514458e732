"""A workflow that sums the sales of all regions in parallel, if there are any."""
