"""How the weights came about. Not part of what is installed: needs the `train` extra and the rows of the data."""
