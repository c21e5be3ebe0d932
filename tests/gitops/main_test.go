// Package gitops lets the engines of other owners judge what the operator does to their objects: Flux' apply library,
// Argo CD's diff, kstatus, kustomize and kubectl, over real Kratos on a real cluster. scripts/test-gitops runs it there;
// without a cluster everything that needs one is skipped.
package gitops

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	// Longer than any start, also on a busy machine.
	long = 420 * time.Second
	// The namespace of the operator of these tests.
	system = "gitops-system"
)

var (
	// The folder that holds the charts.
	tree string
	// How to reach the cluster, and a client for it; nil where there is none.
	config *rest.Config
	kube   client.Client
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "gitops:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func prepare() (err error) {
	if tree, err = os.Getwd(); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(tree, "Cargo.toml")); err == nil {
			break
		}
		if tree == filepath.Dir(tree) {
			return fmt.Errorf("run this inside the repository")
		}
		tree = filepath.Dir(tree)
	}
	if os.Getenv("KUBECONFIG") == "" {
		return nil
	}
	if config, err = clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG")); err != nil {
		return err
	}
	config.QPS = -1 // the tests look often
	kube, err = client.New(config, client.Options{})
	return err
}

// Installs the operator, once for all tests.
var operator = sync.OnceValue(func() error {
	line := []string{"upgrade", "--install", "mfa-operator", "charts/mfa-operator", "--namespace", system, "--create-namespace",
		"--wait", "--timeout", "120s"}
	_, err := attempt("", "helm", append(line, strings.Fields(os.Getenv("MFA_OPERATOR_HELM_ARGUMENTS"))...)...)
	return err
})

func needCluster(t *testing.T) {
	t.Helper()
	if config == nil {
		t.Skip("needs a cluster: scripts/test-gitops brings one")
	}
	if err := operator(); err != nil {
		t.Fatal(err)
	}
}

// Runs a program in the repository to its end; its output, or what it complained about.
func attempt(input, program string, arguments ...string) (string, error) {
	command := exec.Command(program, arguments...)
	command.Dir = tree
	command.Stdin = strings.NewReader(input)
	var output, complaint bytes.Buffer
	command.Stdout, command.Stderr = &output, &complaint
	if err := command.Run(); err != nil {
		return output.String(), fmt.Errorf("%s %s: %w: %s", program, strings.Join(arguments, " "), err, strings.TrimSpace(complaint.String()))
	}
	return output.String(), nil
}

func run(t *testing.T, input, program string, arguments ...string) string {
	t.Helper()
	output, err := attempt(input, program, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// Asks a few times a second until the answer is yes; `ask` says what it saw.
func until(t *testing.T, what string, ask func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(long)
	for {
		done, seen := ask()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %s: %s", what, long, seen)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// Background is the context of every call: the deadline of the test binary bounds them all.
var background = context.Background()
