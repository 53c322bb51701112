"""The AWS border: EC2's answers as types, its errors as classes, its limits as buckets."""
