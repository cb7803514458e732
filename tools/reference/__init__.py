"""The reference pages, which are made from the code: ``make reference`` writes them.

Each module makes one page from the names, types, defaults and descriptions in the code. So correct a sentence of a page
in the code. Tests compare the committed pages with new ones.
"""
