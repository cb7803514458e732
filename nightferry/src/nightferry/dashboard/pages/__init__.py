"""The pages: one page, or a page with its parts, per module. ``templates/NAME.html`` belongs to it."""
