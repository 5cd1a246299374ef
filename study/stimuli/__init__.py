"""What units are measured on: captured tensors as operands."""
