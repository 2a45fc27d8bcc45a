"""The benchmarks behind ``scripts/bench``: each measures the tool beside a peer in the same run."""
