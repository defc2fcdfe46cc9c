"""Whether what decides and runs here is still what a person once took for good: files, interpreter, surroundings."""
