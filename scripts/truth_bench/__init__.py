"""The public benchmark: worlds with the truth of the referee in plain files, and the score of any matcher."""
