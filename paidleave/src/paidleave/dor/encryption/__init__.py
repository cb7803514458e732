"""GPG: keys and OpenPGP messages."""
