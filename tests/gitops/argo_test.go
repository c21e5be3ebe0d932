package gitops

import (
	"fmt"
	"testing"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	argokube "github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/tracing"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/managedfields"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
)

// The field manager of Argo CD's controller.
const argoManager = "argocd-controller"

// Argo CD's engine over the cluster: it writes as a sync does, and compares as a refresh does.
type argo struct {
	*scene
	write  argokube.ResourceOperations
	parser *managedfields.GvkParser
	dryRun diff.KubeApplier
}

func newArgo(s *scene) *argo {
	s.Helper()
	kubectl := &argokube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}
	write, done, err := kubectl.ManageResources(config)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(done)
	dryRun, done, err := kubectl.ManageServerSideDiffDryRuns(config)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(done)
	// After the operator has installed its definition: the parser has to know it.
	_, parser, err := kubectl.LoadOpenAPISchema(config)
	if err != nil {
		s.Fatal(err)
	}
	return &argo{s, write, parser, dryRun}
}

// What Argo CD makes of Git before it compares and writes: each object carries the id by which it is tracked.
func tracked(git []*unstructured.Unstructured) []*unstructured.Unstructured {
	objects := copies(git)
	for _, object := range objects {
		annotations := object.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		gvk := object.GroupVersionKind()
		annotations["argocd.argoproj.io/tracking-id"] =
			fmt.Sprintf("identity:%s/%s:%s/%s", gvk.Group, gvk.Kind, object.GetNamespace(), object.GetName())
		object.SetAnnotations(annotations)
	}
	return objects
}

// The ways to compare: what Argo CD does by default, where the Application has ServerSideApply=true, and where it or the
// controller has server-side diff on.
var argoDiffs = map[string][]diff.Option{
	"default":           nil,
	"server-side apply": {diff.WithStructuredMergeDiff(true)},
	"server-side diff":  {diff.WithServerSideDiff(true)},
}

// The objects that are out of sync, as "mode: kind", with what differs.
func (a *argo) outOfSync(git []*unstructured.Unstructured) map[string]string {
	a.Helper()
	out := map[string]string{}
	for mode, options := range argoDiffs {
		options = append([]diff.Option{
			diff.WithLogr(logr.Discard()), diff.WithGVKParser(a.parser), diff.WithManager(argoManager),
			diff.WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(a.dryRun)),
		}, options...)
		for _, object := range tracked(git) {
			var result *diff.DiffResult
			// The controllers of the cluster write, too: one look must see one state.
			for version := ""; ; {
				live := a.live(object)
				if live.GetResourceVersion() == version {
					break
				}
				var err error
				if result, err = diff.Diff(object, live, options...); err != nil {
					a.Fatalf("%s of %s: %v", mode, object.GetKind(), err)
				}
				version = live.GetResourceVersion()
			}
			if result.Modified {
				out[mode+": "+object.GetKind()] = fmt.Sprintf("predicted %s, live %s", result.PredictedLive, result.NormalizedLive)
			}
		}
	}
	return out
}

func (a *argo) expectInSync(git []*unstructured.Unstructured, when string) {
	a.Helper()
	for what, difference := range a.outOfSync(git) {
		a.Errorf("%s, %s is out of sync: %s", when, what, difference)
	}
	if a.Failed() {
		a.FailNow()
	}
}

func (a *argo) sync(git []*unstructured.Unstructured, serverSide bool) {
	a.Helper()
	for _, object := range tracked(git) {
		if _, err := a.write.ApplyResource(background, object, cmdutil.DryRunNone, false, true, serverSide, argoManager); err != nil {
			a.Fatal(err)
		}
	}
}

func (a *argo) create(git []*unstructured.Unstructured) {
	a.Helper()
	for _, object := range tracked(git) {
		if _, err := a.write.CreateResource(background, object, cmdutil.DryRunNone, true); err != nil {
			a.Fatal(err)
		}
	}
}

func TestArgoCallsEverythingInSync(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*argo, []*unstructured.Unstructured){
		"client-side": func(a *argo, git []*unstructured.Unstructured) { a.sync(git, false) },
		"server-side": func(a *argo, git []*unstructured.Unstructured) { a.sync(git, true) },
		"create":      (*argo).create,
	}
	for way, first := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			a := newArgo(newScene(t, "argo-"+way))
			git := append(a.kratos(), a.policy())
			first(a, git)
			looks := 0
			until(t, "the policy is ready", func() (bool, string) {
				a.expectInSync(git, "while the operator works")
				looks++
				return says(t, a.livePolicy(), "Ready", "True", "Ready"), fmt.Sprint(conditions(t, a.livePolicy()))
			})
			before := a.enforced()
			a.expectInSync(git, "at rest")
			t.Logf("Argo CD: in sync in %d modes, in %d looks while the operator worked and at rest", len(argoDiffs), looks)

			a.sync(git, way == "server-side")
			a.unmoved(before, "another sync")
			a.expectInSync(git, "after another sync")

			// What must not be overlooked: another image and another level in Git, in every mode.
			git = append(a.kratos("image=docker.io/testbed/kratos:other"), a.policy(`{"spec": {"requiredAAL": {"whoami": "aal1"}}}`))
			if out := a.outOfSync(git); len(out) != 2*len(argoDiffs) {
				t.Errorf("edits of Kratos and of the policy: %v", out)
			}
		})
	}
}

// A target may leave group and kind out, and the API server fills them in. Argo CD misses that in one mode: where it
// applies server-side without server-side diff.
func TestArgoAndTheShortFormOfATarget(t *testing.T) {
	t.Parallel()
	a := newArgo(newScene(t, "argo-short"))
	git := []*unstructured.Unstructured{a.policy(`{"spec": {"targetRefs": [{"name": "kratos"}]}}`)}
	for way, write := range map[string]func(){
		"create":      func() { a.create(git) },
		"client-side": func() { a.sync(git, false) },
		"server-side": func() { a.sync(git, true) },
	} {
		a.kubectl("delete", "mfapolicy", "kratos", "--ignore-not-found")
		write()
		if out := a.outOfSync(git); len(out) != 1 || out["server-side apply: MfaPolicy"] == "" {
			t.Errorf("written by %s: %v", way, out)
		}
	}
}
