"""What users write and read: the two custom resources, their names and their conditions."""
