"""Names in Amazon ECR: registries, image references, console pages. No input or output."""
