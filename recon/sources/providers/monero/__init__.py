"""Monero: what wallet servers show of their own addresses, with a daemon as the second witness."""
