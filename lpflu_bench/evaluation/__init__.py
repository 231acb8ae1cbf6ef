"""What is done with a trained checkpoint: tests under corruption, noise and attack; export, quantisation, latency."""
