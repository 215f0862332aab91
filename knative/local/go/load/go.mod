module chandlery.dev/local/load

go 1.25.0
