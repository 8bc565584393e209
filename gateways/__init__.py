"""The doors: each translates between the outside and bus messages."""
