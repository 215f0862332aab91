// A load of known size, for pods of a real node: it burns CPU seconds, holds memory, fills a file, serves bytes, and
// says on /metrics what it did. Its own count is what a meter is compared with.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	burned, held, filled, served, received, orders, done atomic.Int64 // burned in microseconds, the next four in bytes
	block                                                = bytes.Repeat([]byte("load"), 16<<10)
)

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "pause":
		pause()
		return
	case len(os.Args) == 3 && os.Args[1] == "fetch":
		fetch(os.Args[2])
		return
	}
	burn := flag.Duration("burn", 0, "CPU time to use up, once")
	hold := flag.Int64("hold", 0, "bytes of memory to hold")
	fill := flag.Int64("fill", 0, "bytes to write to -file")
	file := flag.String("file", "/data/load", "the file to fill")
	listen := flag.String("listen", ":8080", "where /bytes, /sink, /order and /metrics are served")
	flag.Parse()
	http.HandleFunc("/bytes", serve)
	http.HandleFunc("/sink", sink)
	http.HandleFunc("/order", func(http.ResponseWriter, *http.Request) { orders.Add(1) })
	http.HandleFunc("/metrics", metrics)
	go work(*burn, *hold, *fill, *file)
	log.Fatal(http.ListenAndServe(*listen, nil))
}

// pause holds the namespaces of a pod open.
func pause() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	<-ended
}

// fetch is what `kubectl exec` runs: there is no shell in the image.
func fetch(url string) {
	answer, err := (&http.Client{Timeout: 5 * time.Second}).Get(url)
	if err != nil {
		log.Fatal(err)
	}
	size, err := io.Copy(io.Discard, answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.StatusCode, size)
}

var kept []byte // reachable for as long as the process lives

func work(burn time.Duration, hold, fill int64, file string) {
	kept = make([]byte, hold)
	for at := int64(0); at < hold; at += 4096 {
		kept[at] = 1 // a page is held once it is written to
	}
	held.Store(hold)
	if fill > 0 {
		if err := write(file, fill); err != nil {
			log.Fatal(err)
		}
	}
	for start := used(); used()-start < burn; burned.Store((used() - start).Microseconds()) {
		for i := 0; i < 1<<20; i++ {
			kept = kept[:hold]
		}
	}
	done.Store(1)
}

func write(name string, size int64) error {
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	for left := size; left > 0; left -= int64(len(block)) {
		n, err := out.Write(block[:min(left, int64(len(block)))])
		filled.Add(int64(n))
		if err != nil {
			return err
		}
	}
	if err := out.Sync(); err != nil {
		return err
	}
	return out.Close()
}

// used is the CPU time of this process, which a limit cannot stretch as it does the clock.
func used() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func serve(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64)
	if err != nil || size < 0 || size > 1<<30 {
		http.Error(w, "n: a number of bytes, at most 1 GiB", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	for left := size; left > 0; left -= int64(len(block)) {
		n, err := w.Write(block[:min(left, int64(len(block)))])
		served.Add(int64(n))
		if err != nil {
			return
		}
	}
}

func sink(w http.ResponseWriter, r *http.Request) {
	size, err := io.Copy(io.Discard, r.Body)
	received.Add(size)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	counter(w, "load_done", "gauge", "1 when all that was asked for has been used up", float64(done.Load()))
	counter(w, "load_cpu_seconds_total", "counter", "CPU time of the process", used().Seconds())
	counter(w, "load_burned_seconds_total", "counter", "CPU time burned on purpose", float64(burned.Load())/1e6)
	counter(w, "load_held_bytes", "gauge", "memory held", float64(held.Load()))
	counter(w, "load_filled_bytes", "gauge", "bytes written to the file", float64(filled.Load()))
	counter(w, "load_served_bytes_total", "counter", "bytes served", float64(served.Load()))
	counter(w, "load_received_bytes_total", "counter", "bytes received", float64(received.Load()))
	counter(w, "load_orders_total", "counter", "calls of /order", float64(orders.Load()))
}

func counter(w io.Writer, name, kind, help string, value float64) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s %g\n", name, help, name, kind, name, value)
}
