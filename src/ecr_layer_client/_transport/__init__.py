"""One request to ECR and its response.

Of the core, this package alone imports aiobotocore and botocore.
"""
