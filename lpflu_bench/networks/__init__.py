"""The networks of the benchmark, untrained, with their own activations as placeholders."""
