"""Training: the solver, the folder it leaves, and a second training on captions of consensus."""
