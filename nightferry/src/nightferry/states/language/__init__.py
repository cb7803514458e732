"""Amazon States Language: the model, the parser and the rules of a definition."""
