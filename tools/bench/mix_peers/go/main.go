// Unwraps packets of Katzenpost's Sphinx. For each line "n" on stdin it makes n packets, times
// their first mix, follows each of them to its end, compares the message, and writes
// {"name": microseconds of processor time for one, ...} on one line.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/katzenpost/hpqc/nike"
	"github.com/katzenpost/hpqc/nike/x25519"
	"github.com/katzenpost/hpqc/rand"
	"github.com/katzenpost/katzenpost/core/sphinx"
	"github.com/katzenpost/katzenpost/core/sphinx/commands"
	"github.com/katzenpost/katzenpost/core/sphinx/geo"
)

const (
	payloadBytes = 2064
	hops         = 3
	threadClock  = 3 // CLOCK_THREAD_CPUTIME_ID
)

func now() time.Duration {
	var read syscall.Timespec
	_, _, failed := syscall.Syscall(
		syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&read)), 0,
	)
	if failed != 0 {
		panic(failed)
	}
	return time.Duration(read.Nano())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func message(number int) []byte {
	made := make([]byte, payloadBytes)
	for place := range made {
		made[place] = byte(number*7 + place*13)
	}
	return made
}

func micros(elapsed time.Duration, count int) float64 {
	return float64(elapsed.Nanoseconds()) / 1e3 / float64(count)
}

func unwrap(scheme nike.Scheme, count int) float64 {
	format := sphinx.NewNIKESphinx(
		scheme, geo.GeometryFromUserForwardPayloadLength(scheme, payloadBytes, false, hops),
	)
	secrets := make([]nike.PrivateKey, hops)
	route := make([]*sphinx.PathHop, hops)
	for place := range route {
		public, secret, err := scheme.GenerateKeyPair()
		must(err)
		secrets[place] = secret
		hop := &sphinx.PathHop{NIKEPublicKey: public}
		hop.ID[0] = byte(place + 1)
		if place == hops-1 {
			hop.Commands = []commands.RoutingCommand{&commands.Recipient{}}
		} else {
			hop.Commands = []commands.RoutingCommand{&commands.NodeDelay{Delay: 30}}
		}
		route[place] = hop
	}
	packets := make([][]byte, count)
	for number := range packets {
		body := make([]byte, format.Geometry().ForwardPayloadLength)
		copy(body, message(number))
		made, err := format.NewPacket(rand.Reader, route, body)
		must(err)
		packets[number] = made
	}
	start := now()
	for _, packet := range packets {
		_, _, _, err := format.Unwrap(secrets[0], packet)
		must(err)
	}
	elapsed := now() - start
	for number, packet := range packets {
		var arrived []byte
		for place := 1; place < hops; place++ {
			got, _, _, err := format.Unwrap(secrets[place], packet)
			must(err)
			arrived = got
		}
		if !bytes.Equal(arrived[:payloadBytes], message(number)) {
			panic("another message than was sent")
		}
	}
	return micros(elapsed, count)
}

func exchange(scheme nike.Scheme, count int) float64 {
	_, own, err := scheme.GenerateKeyPair()
	must(err)
	peers := make([]nike.PublicKey, count)
	for place := range peers {
		peers[place], _, err = scheme.GenerateKeyPair()
		must(err)
	}
	start := now()
	for _, peer := range peers {
		scheme.DeriveSecret(own, peer)
	}
	return micros(now()-start, count)
}

func main() {
	runtime.LockOSThread()
	scheme := x25519.Scheme(rand.Reader)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		count, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		must(err)
		told, err := json.Marshal(map[string]float64{
			"katzenpost-sphinx": unwrap(scheme, count),
			"x25519-katzenpost": exchange(scheme, count),
		})
		must(err)
		fmt.Println(string(told))
	}
	must(lines.Err())
}
