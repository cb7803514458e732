"""An application whose catalog has every method and parameter: the examples of the catalog's reference page."""
