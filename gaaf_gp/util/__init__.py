"""Helpers without a word of GP or binary networks: files, checks, devices, console, randomness."""
