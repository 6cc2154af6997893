"""Claims 3-1 and "3-1 alt": parity by a recurrent unit, and by two threshold units."""
