package gitops

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// What `kubectl diff` prints; the empty string where it ends with 0, that is, finds no difference.
func kubectlDiff(t *testing.T, git string, flags ...string) string {
	t.Helper()
	output, err := attempt(git, "kubectl", append([]string{"diff", "-f", "-"}, flags...)...)
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatal(err)
	}
	if err != nil && output == "" {
		t.Fatal("kubectl diff finds a difference and does not print it")
	}
	return output
}

func TestKubectlFindsNothingToChange(t *testing.T) {
	for way, flags := range map[string][]string{"client-side": nil, "server-side": {"--server-side"}} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "kubectl-"+way)
			git := manifest(t, append(s.kratos(), s.policy())...)
			apply := append([]string{"apply", "-f", "-"}, flags...)
			run(t, git, "kubectl", apply...)
			before := s.enforced()

			if found := kubectlDiff(t, git, flags...); found != "" {
				t.Errorf("kubectl diff finds %s", found)
			}
			version := s.deployment().GetResourceVersion()
			output := run(t, git, "kubectl", apply...)
			if way == "client-side" {
				for line := range strings.Lines(output) {
					if !strings.HasSuffix(line, " unchanged\n") {
						t.Errorf("kubectl apply says %s", line)
					}
				}
			}
			if after := s.deployment().GetResourceVersion(); after != version {
				t.Errorf("kubectl apply wrote the Deployment: version %s became %s", version, after)
			}
			s.unmoved(before, "kubectl apply")

			other := manifest(t, append(s.kratos("replicaCount=1"), s.policy())...)
			if kubectlDiff(t, other, flags...) == "" {
				t.Error("kubectl diff overlooks another number of replicas")
			}
		})
	}
}
