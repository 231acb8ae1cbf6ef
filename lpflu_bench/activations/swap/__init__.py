"""From a network to its places: what is called where (trace), what each place is (placement), one module each (rewrite)."""
