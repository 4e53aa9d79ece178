"""What comes out of an engine: arrays in, arrays out; no files, no flows, no profiles."""
