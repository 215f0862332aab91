// registry is an OCI registry in memory for tests: charts can be pushed to it and fetched from it, with TLS and a
// password if asked for.
package main

import (
	"crypto/subtle"
	"flag"
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

// guarded lets in only who knows "user:password"; empty lets in everybody.
func guarded(next http.Handler, secret string) http.Handler {
	if secret == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(user+":"+password), []byte(secret)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"user and password are needed"}]}`, http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func main() {
	listen := flag.String("listen", "127.0.0.1:5000", "address to listen on")
	certificate := flag.String("cert", "", "TLS certificate file; without it, plain HTTP")
	key := flag.String("key", "", "TLS key file")
	flag.Parse()
	// The password comes by environment, because arguments can be read by everybody on the machine.
	handler := guarded(registry.New(registry.WithReferrersSupport(true)), os.Getenv("REGISTRY_AUTH"))
	if *certificate != "" {
		log.Fatal(http.ListenAndServeTLS(*listen, *certificate, *key, handler))
	}
	log.Fatal(http.ListenAndServe(*listen, handler))
}
