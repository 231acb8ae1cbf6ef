"""How functions are compared over a few paired seeds: intervals that hold together, and the verdicts that follow from them."""
