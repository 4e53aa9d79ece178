"""How a stage keeps its word: cache key, files, meter, retries, artifacts."""
