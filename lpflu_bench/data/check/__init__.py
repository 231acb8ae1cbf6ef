"""What is in a data set: everything decoded and counted, with what would stop or spoil a training."""
