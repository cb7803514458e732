"""The pages for analysts: the files that jobs have processed, and the account of one of them."""
