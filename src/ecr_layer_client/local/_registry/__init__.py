"""ECR's behaviour and state, independent of the protocol, the clock and the network."""
