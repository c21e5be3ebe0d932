// Command probe is what a test runs in a pod: it waits, serves, asks over HTTP, and looks names up.
//
//	probe sleep                   until it is stopped
//	probe serve [ADDRESS]         answers each request with its host name; default :8080
//	probe proxy ADDRESS TO KIND   passes connections on to another address, or stands in their way: close ends each, tls
//	                              speaks nothing but TLS, a number is the status that every request gets
//	probe fault KIND VALUE        the same, but where a variable has this value it is unready (answers 503) or hungry (takes memory without end)
//	probe get URL [SECONDS]       prints status and body, tried for so long until it answers 2xx; default 0
//	probe lookup NAME [SECONDS]   prints the addresses of a name, tried for so long
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	go func() {
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
		<-stop
		os.Exit(0)
	}()
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	args = append(args, "", "", "", "")
	switch args[0] {
	case "sleep":
		for {
			time.Sleep(time.Hour)
		}
	case "serve":
		return serve(args[1], http.StatusOK)
	case "proxy":
		return proxy(args[1], args[2], args[3])
	case "fault":
		return fault(args[1], args[2])
	case "get":
		return retry(args[2], func() (string, error) { return get(args[1]) })
	case "lookup":
		return retry(args[2], func() (string, error) {
			addresses, err := net.LookupHost(args[1])
			return strings.Join(addresses, "\n"), err
		})
	}
	return errors.New("sleep, serve, proxy, fault, get or lookup")
}

func fault(kind, value string) error {
	status := http.StatusOK
	for _, variable := range os.Environ() {
		if _, set, _ := strings.Cut(variable, "="); set == value {
			status = http.StatusServiceUnavailable
		}
	}
	if kind == "hungry" && status != http.StatusOK {
		eat()
	}
	return serve("", status)
}

// eat fills memory, each page of it, until the kernel ends the process.
func eat() {
	for eaten := [][]byte{}; ; {
		bite := make([]byte, 1<<20)
		for i := 0; i < len(bite); i += 4096 {
			bite[i] = 1
		}
		eaten = append(eaten, bite)
	}
}

func serve(address string, status int) error {
	if address == "" {
		address = ":8080"
	}
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		fmt.Fprintln(w, name)
	}))
}

func proxy(address, to, kind string) error {
	if status, err := strconv.Atoi(kind); err == nil {
		return serve(address, status)
	}
	if kind == "tls" {
		return serveTLS(address)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer client.Close()
			if kind != "pass" {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			defer server.Close()
			go io.Copy(server, client)
			io.Copy(client, server)
		}()
	}
}

func serveTLS(address string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	own := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, own, own, key.Public(), key)
	if err != nil {
		return err
	}
	certificates := []tls.Certificate{{Certificate: [][]byte{signed}, PrivateKey: key}}
	server := http.Server{Addr: address, TLSConfig: &tls.Config{Certificates: certificates}}
	return server.ListenAndServeTLS("", "")
}

func get(url string) (string, error) {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode/100 != 2 {
		err = errors.New(answer.Status)
	}
	return fmt.Sprintf("%d\n%s", answer.StatusCode, body), err
}

// retry prints what ask answers, and gives up once the seconds have passed.
func retry(seconds string, ask func() (string, error)) error {
	limit, _ := strconv.ParseFloat(seconds, 64)
	end := time.Now().Add(time.Duration(limit * float64(time.Second)))
	for {
		answer, err := ask()
		if err == nil || time.Now().After(end) {
			fmt.Println(answer)
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}
