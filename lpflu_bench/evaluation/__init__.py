"""What is done with a trained checkpoint: export, quantisation, and the latency of what comes out."""
