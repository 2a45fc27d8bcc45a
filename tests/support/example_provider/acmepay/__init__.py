"""An example of a payment provider for recon."""
