"""The pages: a module for each, and a package for those that share code. A template has the name of its page.

A page function reads what it shows from the backend of its :class:`~nightferry.dashboard.view.View`.
"""
