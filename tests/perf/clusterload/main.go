// A closed-loop load generator for clusters: so many clients, each with one operation (or one
// pipeline of them) on its way, on the Redis protocol or on etcd's. Both sides are driven by the
// same loop, so what differs is the protocol's client alone, whose CPU time is told as well.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type options struct {
	protocol  string
	endpoints []string
	spread    bool
	clients   int
	pipeline  int
	seconds   float64
	reads     int
	keys      int
	bytes     int
	eventual  bool
	wait      int
	fill      bool
	asked     bool
	patience  time.Duration
}

// One client of a store. An error means that it has to be made anew.
type store interface {
	// Runs so many operations at once, each a read or a write of one key.
	run(isRead bool, keys []string, value string) error
	close()
}

type result struct {
	Reads         int     `json:"reads"`
	Writes        int     `json:"writes"`
	Errors        int     `json:"errors"`
	Rate          float64 `json:"rate"`
	ReadP50       float64 `json:"read_p50_ms"`
	ReadP99       float64 `json:"read_p99_ms"`
	WriteP50      float64 `json:"write_p50_ms"`
	WriteP99      float64 `json:"write_p99_ms"`
	LongestWaitMs float64 `json:"longest_without_write_ms"`
	ClientCPU     float64 `json:"client_cpu_us"`
	LastError     string  `json:"last_error"`
}

// What one client saw.
type samples struct {
	reads, writes []time.Duration
	acknowledged  []time.Time // of writes
	errors        int
	lastError     string
}

func parse() options {
	var o options
	endpoints := flag.String("endpoints", "", "host:port,...; the first one is the leader's, where that matters")
	flag.StringVar(&o.protocol, "protocol", "resp", "resp or etcd")
	flag.BoolVar(&o.spread, "spread", false, "clients on all endpoints, not on the first")
	flag.IntVar(&o.clients, "clients", 1, "")
	flag.IntVar(&o.pipeline, "pipeline", 1, "operations that a client sends at once (resp)")
	flag.Float64Var(&o.seconds, "seconds", 5, "")
	flag.IntVar(&o.reads, "reads", 0, "percent of operations")
	flag.IntVar(&o.keys, "keys", 10000, "")
	flag.IntVar(&o.bytes, "bytes", 100, "of a value")
	flag.BoolVar(&o.eventual, "eventual", false, "reads may be old")
	flag.IntVar(&o.wait, "wait", 0, "WAIT for so many replicas after each write (Redis)")
	flag.BoolVar(&o.fill, "fill", false, "write every key once, however long that takes")
	flag.DurationVar(&o.patience, "patience", 10*time.Second, "for a reply, before a client turns to another node")
	flag.BoolVar(&o.asked, "until-stdin", false, "end when stdin does, if that is before the time")
	flag.Parse()
	o.endpoints = strings.Split(*endpoints, ",")
	if *endpoints == "" || o.clients < 1 || o.pipeline < 1 || (o.protocol != "resp" && o.protocol != "etcd") {
		flag.Usage()
		os.Exit(2)
	}
	return o
}

func connect(o options, number, attempt int) (store, error) {
	at := attempt
	if o.spread {
		at += number
	}
	endpoint := o.endpoints[at%len(o.endpoints)]
	if o.protocol == "etcd" {
		return connectEtcd(o, endpoint)
	}
	return connectResp(o, endpoint)
}

// When a run is over: at a time, or when it is told so.
type ending struct {
	at   time.Time
	told atomic.Bool
	next atomic.Int64 // of the keys to fill
}

func (e *ending) hasCome(o options) bool {
	if o.fill {
		return e.next.Load() >= int64(o.keys)
	}
	return e.told.Load() || !time.Now().Before(e.at)
}

// The key of the next operation.
func (e *ending) key(o options, random *rand.Rand) string {
	if o.fill {
		return keyOf(int(e.next.Add(1) - 1))
	}
	return keyOf(random.IntN(o.keys))
}

func keyOf(number int) string { return fmt.Sprintf("key:%012d", number) }

// Runs until the end, which is known at the start; after an error goes on with the next endpoint, as a client does.
func drive(o options, number int, ending *ending, ready *sync.WaitGroup, start <-chan struct{}) samples {
	var seen samples
	attempt := 0
	s, err := connect(o, number, attempt)
	ready.Done()
	<-start
	value := strings.Repeat("x", o.bytes)
	random := rand.New(rand.NewPCG(1, uint64(number)))
	keys := make([]string, o.pipeline)
	for !ending.hasCome(o) {
		if err != nil {
			seen.errors++
			seen.lastError = err.Error()
			if s != nil {
				s.close()
			}
			time.Sleep(2 * time.Millisecond)
			attempt++
			s, err = connect(o, number, attempt)
			continue
		}
		isRead := random.IntN(100) < o.reads
		for i := range keys {
			keys[i] = ending.key(o, random)
		}
		began := time.Now()
		err = s.run(isRead, keys, value)
		done := time.Now()
		if err != nil {
			continue
		}
		if isRead {
			seen.reads = append(seen.reads, done.Sub(began))
		} else {
			seen.writes = append(seen.writes, done.Sub(began))
			seen.acknowledged = append(seen.acknowledged, done)
		}
	}
	if s != nil && err == nil {
		s.close()
	}
	return seen
}

func cpu() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func at(sorted []time.Duration, quantile float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	place := min(int(quantile*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[place]) / float64(time.Millisecond)
}

func summarize(o options, all []samples, elapsed, spent time.Duration, began time.Time) result {
	var r result
	var reads, writes []time.Duration
	var acknowledged []time.Time
	for _, seen := range all {
		reads = append(reads, seen.reads...)
		writes = append(writes, seen.writes...)
		acknowledged = append(acknowledged, seen.acknowledged...)
		r.Errors += seen.errors
		if seen.lastError != "" {
			r.LastError = seen.lastError
		}
	}
	slices.Sort(reads)
	slices.Sort(writes)
	r.Reads, r.Writes = len(reads)*o.pipeline, len(writes)*o.pipeline
	operations := r.Reads + r.Writes
	r.Rate = float64(operations) / elapsed.Seconds()
	r.ReadP50, r.ReadP99 = at(reads, 0.5), at(reads, 0.99)
	r.WriteP50, r.WriteP99 = at(writes, 0.5), at(writes, 0.99)
	r.ClientCPU = float64(spent) / float64(time.Microsecond) / float64(max(operations, 1))
	if len(writes) > 0 {
		acknowledged = append(acknowledged, began.Add(elapsed))
		slices.SortFunc(acknowledged, time.Time.Compare)
		last := began
		for _, moment := range acknowledged {
			r.LongestWaitMs = max(r.LongestWaitMs, float64(moment.Sub(last))/float64(time.Millisecond))
			last = moment
		}
	}
	return r
}

func main() {
	o := parse()
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	all := make([]samples, o.clients)
	// Connecting takes as long as it takes: time counts from when everybody has.
	var over ending
	ready.Add(o.clients)
	for i := range o.clients {
		done.Add(1)
		go func() {
			defer done.Done()
			all[i] = drive(o, i, &over, &ready, start)
		}()
	}
	ready.Wait()
	before, began := cpu(), time.Now()
	over.at = began.Add(time.Duration(o.seconds * float64(time.Second)))
	if o.asked {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			over.told.Store(true)
		}()
	}
	close(start)
	done.Wait()
	elapsed := time.Since(began)
	r := summarize(o, all, elapsed, cpu()-before, began)
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		os.Exit(1)
	}
}
