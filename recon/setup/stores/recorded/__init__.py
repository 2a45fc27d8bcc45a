"""A recorded world: payments in a folder, and an embedded store that writes to it."""
