"""What `fit`, `validate`, `test` and `predict` do: the Lightning command, trained configurations, their errors."""
