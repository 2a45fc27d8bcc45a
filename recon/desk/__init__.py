"""Review in the terminal: a plan's breaks as a list, one payment beside it, and what is decided about them."""
