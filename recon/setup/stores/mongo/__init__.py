"""MongoDB, where the backend keeps its payments."""
