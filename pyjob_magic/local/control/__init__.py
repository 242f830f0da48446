"""The control loop: the training operator, the scheduler, and what ties them together."""
