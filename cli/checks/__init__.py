"""What `chandlery doctor` looks at: a subject a file. `look` reads, the rest decides."""
