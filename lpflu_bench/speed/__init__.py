"""What a function costs: the paper's Table 7 and beyond."""
