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
	t.Parallel()
	for way, flags := range map[string][]string{"client-side": nil, "server-side": {"--server-side"}} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "kubectl-"+way)
			apply := append([]string{"apply", "-f", "-"}, flags...)
			// Some fields of this chart are "configured" each time, whoever else is there.
			alone := manifest(t, s.kratos()...)
			run(t, alone, "kubectl", apply...)
			usual := run(t, alone, "kubectl", apply...)

			policy := manifest(t, s.policy())
			run(t, policy, "kubectl", apply...)
			before := s.enforced()
			git := alone + "---\n" + policy
			if found := kubectlDiff(t, git, flags...); found != "" {
				t.Errorf("kubectl diff finds %s", found)
			}
			if output := run(t, alone, "kubectl", apply...); output != usual {
				t.Errorf("kubectl apply says %s, and without a policy it says %s", output, usual)
			}
			if output := run(t, policy, "kubectl", apply...); way == "client-side" && !strings.HasSuffix(output, " unchanged\n") {
				t.Errorf("kubectl apply of the policy says %s", output)
			}
			s.unmoved(before, "kubectl apply")

			other := manifest(t, append(s.kratos("replicaCount=1"), s.policy())...)
			if kubectlDiff(t, other, flags...) == "" {
				t.Error("kubectl diff overlooks another number of replicas")
			}
		})
	}
}
