"""Where the figures in the documentation come from; each file is a program of its own."""
