"""SHKeeper: its API, and its invoices and payouts as claims."""
