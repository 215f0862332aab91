// router stands in for cluster DNS and kube-proxy: a forward HTTP proxy that sends the host names of Services to
// loopback ports. Knative dials through Go's default transport, so HTTP_PROXY is all it needs to find its Services.
//
// To the API server it is the way to kubelets: it connects to none on loopback, so 192.0.2.0/24 (TEST-NET-1) stands for
// this machine.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"strings"
	"sync"
	"time"
)

type route struct {
	glob   string // matched against the host name
	target string // address, optionally with a path to put in front: 127.0.0.1:8080/prefix
}

// parseRoutes reads lines of "glob target"; '#' starts a comment. The first match wins.
func parseRoutes(text string) ([]route, error) {
	var routes []route
	for number, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		switch len(fields) {
		case 0:
		case 2:
			routes = append(routes, route{fields[0], fields[1]})
		default:
			return nil, fmt.Errorf("line %d: want \"glob target\", got %q", number+1, line)
		}
	}
	return routes, nil
}

// resolve says where a request goes; hosts outside the cluster domain go where they say.
func resolve(routes []route, asked *url.URL) (address, prefix string, ok bool) {
	host := asked.Hostname()
	for _, r := range routes {
		if hit, _ := path.Match(r.glob, host); hit {
			address, prefix, _ = strings.Cut(r.target, "/")
			return address, prefix, true
		}
	}
	if strings.HasPrefix(host, "192.0.2.") && net.ParseIP(host) != nil {
		return net.JoinHostPort("127.0.0.1", asked.Port()), "", true
	}
	inside := strings.HasSuffix(host, ".svc.cluster.local") || strings.HasSuffix(host, ".svc")
	return asked.Host, "", !inside
}

// tunnel carries what is encrypted.
func tunnel(w http.ResponseWriter, address string) {
	there, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer here.Close()
	if _, err = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{}, 2)
	carry := func(to io.Writer, from io.Reader) { _, _ = io.Copy(to, from); done <- struct{}{} }
	go carry(there, buffered)
	go carry(here, there)
	<-done
}

// buffers spares a 32 KiB allocation for each event carried.
type buffers struct{ sync.Pool }

func (b *buffers) Get() []byte  { return b.Pool.Get().([]byte) }
func (b *buffers) Put(x []byte) { b.Pool.Put(x) } //nolint:staticcheck // a slice header is small enough

func main() {
	listen := flag.String("listen", "127.0.0.1:3128", "address to listen on")
	file := flag.String("routes", "", "file with lines of \"glob target\"")
	flag.Parse()
	text, err := os.ReadFile(*file)
	if err != nil {
		log.Fatal(err)
	}
	routes, err := parseRoutes(string(text))
	if err != nil {
		log.Fatalf("%s: %v", *file, err)
	}
	proxy := &httputil.ReverseProxy{
		BufferPool: &buffers{sync.Pool{New: func() any { return make([]byte, 32<<10) }}},
		Transport: &http.Transport{
			MaxIdleConns:        1000,
			MaxIdleConnsPerHost: 1000,
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true,
		},
		Rewrite: func(r *httputil.ProxyRequest) {
			address, prefix, _ := resolve(routes, r.In.URL)
			r.Out.URL.Scheme, r.Out.URL.Host = "http", address
			if prefix != "" {
				r.Out.URL.Path = "/" + strings.TrimSuffix(prefix, "/") + r.In.URL.Path
				r.Out.URL.RawPath = ""
			}
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			address, _, ok := resolve(routes, &url.URL{Host: r.Host})
			if !ok {
				http.Error(w, "no route for "+r.Host, http.StatusBadGateway)
				return
			}
			tunnel(w, address)
			return
		}
		if r.URL.Host == "" {
			http.Error(w, "a forward proxy: ask for an absolute URL", http.StatusBadRequest)
			return
		}
		if _, _, ok := resolve(routes, r.URL); !ok {
			log.Printf("no route for %s", r.URL.Host)
			http.Error(w, "no route for "+r.URL.Host+" in "+*file, http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(w, r)
	})
	log.Printf("%d routes, listening on %s", len(routes), *listen)
	log.Fatal(http.ListenAndServe(*listen, handler))
}
