"""What makes a gradient wrong: the first NaN or infinity of a pass, and residuals that were written into."""
