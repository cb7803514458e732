"""Pictures that are made on the server. They have classes instead of styles, and a title for screen readers."""
