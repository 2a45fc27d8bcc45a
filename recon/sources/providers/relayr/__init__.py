"""Relayr: a relay that takes a bundle of calls for several chains and sends each one itself."""
