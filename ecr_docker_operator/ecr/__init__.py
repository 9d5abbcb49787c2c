"""Names of Amazon ECR: registries, image references, console pages. Pure: no input or output."""
