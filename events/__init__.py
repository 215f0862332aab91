"""What is said: the CloudEvents that Chandlery's functions exchange. Contracts only, no I/O."""
