"""The Docker Registry API at `/v2/`, as ECR serves it: each request becomes ECR's operations."""
