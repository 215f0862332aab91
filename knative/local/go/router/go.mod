module chandlery.dev/local/router

go 1.25.0
