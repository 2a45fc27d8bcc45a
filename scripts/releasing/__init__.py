"""What ``scripts/release`` does: build, check, and say of what a release is made."""
