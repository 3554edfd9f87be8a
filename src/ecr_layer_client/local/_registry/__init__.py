"""ECR's behaviour and state. Knows no protocol, no clock and no network."""
