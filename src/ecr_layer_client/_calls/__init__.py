"""One API call with its retries, at the rate that the account allows."""
