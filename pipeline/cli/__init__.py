"""The command line; nothing but arguments and printing."""
