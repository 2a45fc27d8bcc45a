"""Request Network: its API, and its requests and payments as claims."""
