"""Layer checks, from digests to outcomes."""
