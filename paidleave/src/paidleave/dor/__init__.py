"""The files of the Department of Revenue (DOR): their formats, reading, generating and importing."""
