"""Long proofs over the library: verdicts against known truth, and hostile text."""
