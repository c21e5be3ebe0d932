package gitops

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
)

// What the API server says to an owner that takes the container away by server-side apply.
const imageRequired = "containers[0].image: Required value"

// Kratos in Git after somebody gave its container another name.
func renamed(s *scene) []*unstructured.Unstructured {
	s.Helper()
	git := s.kratos()
	containers, _, err := unstructured.NestedSlice(find(s.T, git, "Deployment").Object, "spec", "template", "spec", "containers")
	if err != nil {
		s.Fatal(err)
	}
	containers[0].(map[string]any)["name"] = "server"
	if err := unstructured.SetNestedSlice(find(s.T, git, "Deployment").Object, containers, "spec", "template", "spec", "containers"); err != nil {
		s.Fatal(err)
	}
	return git
}

// The limit, and its way out, for each owner that applies server-side: `first` brings Kratos, `rename` the other name.
func TestOwnersCannotRenameTheContainerServerSide(t *testing.T) {
	t.Parallel()
	type owner struct {
		first  func(*scene) error
		rename func(*scene) error
	}
	flux := func(git func(*scene) []*unstructured.Unstructured) func(*scene) error {
		return func(s *scene) error {
			_, err := fluxApply(s, git(s))
			return err
		}
	}
	argo := func(git func(*scene) []*unstructured.Unstructured) func(*scene) error {
		return func(s *scene) error {
			for _, object := range tracked(git(s)) {
				if _, err := newArgo(s).write.ApplyResource(background, object, cmdutil.DryRunNone, false, true, true, argoManager); err != nil {
					return err
				}
			}
			return nil
		}
	}
	helm := func(chart func(*scene) string) func(*scene) error {
		return func(s *scene) error {
			arguments := append([]string{"upgrade", "--install", "kratos", chart(s), "--namespace", s.namespace}, kratosValues(nil)...)
			_, err := attempt("", "helm", arguments...)
			return err
		}
	}
	asItIs := func(s *scene) []*unstructured.Unstructured { return s.kratos() }
	for name, one := range map[string]owner{
		"flux":  {flux(asItIs), flux(renamed)},
		"argo":  {argo(asItIs), argo(renamed)},
		"helm4": {helm(func(*scene) string { return "tests/cluster/kratos" }), helm(renamedChart)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "rename-"+name)
			if err := one.first(s); err != nil {
				t.Fatal(err)
			}
			s.apply(s.policy())
			before := s.enforced()

			if err := one.rename(s); err == nil || !strings.Contains(err.Error(), imageRequired) {
				t.Fatalf("the rename is answered by %v", err)
			}
			s.unmoved(before, "the refused rename")

			// The way out: without the policy the name is free, and the policy comes back to the new container.
			s.kubectl("delete", "mfapolicy", "kratos")
			s.reverted()
			if err := one.rename(s); err != nil {
				t.Fatal(err)
			}
			s.apply(s.policy())
			s.enforced()
		})
	}
}

// The chart of Kratos with another name for the container.
func renamedChart(s *scene) string {
	s.Helper()
	chart := filepath.Join(s.TempDir(), "kratos")
	if err := os.CopyFS(chart, os.DirFS(filepath.Join(tree, "tests/cluster/kratos"))); err != nil {
		s.Fatal(err)
	}
	file := filepath.Join(chart, "templates/deployment.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		s.Fatal(err)
	}
	other := strings.Replace(string(text), "        - name: kratos\n", "        - name: server\n", 1)
	if other == string(text) {
		s.Fatal("the chart names its container in another way")
	}
	if err := os.WriteFile(file, []byte(other), 0o644); err != nil {
		s.Fatal(err)
	}
	return chart
}

// By client-side apply the rename passes, since it takes the whole container away, and the policy follows.
func TestTheContainerCanBeRenamedClientSide(t *testing.T) {
	t.Parallel()
	s := newScene(t, "rename-kubectl")
	run(t, manifest(t, s.kratos()...), "kubectl", "apply", "-f", "-")
	s.apply(s.policy())
	s.enforced()
	run(t, manifest(t, renamed(s)...), "kubectl", "apply", "-f", "-")
	until(t, "the policy is in force in the new container", func() (bool, string) {
		text := manifest(t, s.deployment())
		return strings.Contains(text, "name: server") && containsVariable(text) && s.settled(), text
	})
	s.enforced()
}
