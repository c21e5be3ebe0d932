package gitops

import (
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/jsondiff"
	"github.com/fluxcd/pkg/ssa/normalize"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What Flux' kustomize-controller does at every interval, with the options that it has by default.
func fluxApply(s *scene, git []*unstructured.Unstructured) (*ssa.ChangeSet, error) {
	s.Helper()
	objects := copies(git)
	if err := normalize.UnstructuredList(objects); err != nil {
		s.Fatal(err)
	}
	manager := ssa.NewResourceManager(kube, nil, ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"})
	manager.SetOwnerLabels(objects, "identity", "flux-system")
	options := ssa.DefaultApplyOptions()
	options.Cleanup = ssa.ApplyCleanupOptions{
		Annotations: []string{corev1.LastAppliedConfigAnnotation},
		FieldManagers: []ssa.FieldManager{
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationApply},
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: "before-first-apply", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: "kustomize-controller", OperationType: metav1.ManagedFieldsOperationUpdate},
		},
	}
	return manager.ApplyAllStaged(background, objects, options)
}

// Reconciles once. The objects that Flux says it changed, each as "kind action".
func fluxReconcile(s *scene, git []*unstructured.Unstructured) (changed []string) {
	s.Helper()
	changes, err := fluxApply(s, git)
	if err != nil {
		s.Fatal(err)
	}
	for _, entry := range changes.Entries {
		if entry.Action != ssa.UnchangedAction {
			kind, _, _ := strings.Cut(entry.Subject, "/")
			changed = append(changed, kind+" "+entry.Action.String())
		}
	}
	slices.Sort(changed)
	return changed
}

// The fields of the Deployment that the API server takes for Flux' own.
func fluxOwns(s *scene) string {
	s.Helper()
	for _, entry := range s.deployment().GetManagedFields() {
		if entry.Manager == "kustomize-controller" {
			return string(entry.FieldsV1.Raw)
		}
	}
	s.Fatal("Flux has written nothing")
	return ""
}

// Reconciles while the operator works, until the policy is ready and for some rounds more; nothing may change in any.
func fluxKeepsQuiet(s *scene, git []*unstructured.Unstructured) {
	s.Helper()
	working, quiet, raced := 0, 0, 0
	until(s.T, "the policy is ready under Flux", func() (bool, string) {
		before := fluxOwns(s)
		if changed := fluxReconcile(s, git); len(changed) > 0 {
			// Flux reads, and asks for a dry run after: a write of the operator or of the Deployment's controller in
			// between looks to it like drift. The operator has two to make, and at rest there is none.
			raced++
			after := fluxOwns(s)
			if quiet > 0 || raced > 3 || !slices.Equal(changed, []string{"Deployment configured"}) || after != before {
				s.Fatalf("after %d rounds of work and %d at rest Flux changed %v; of the Deployment it owned\n%s\nand now\n%s",
					working, quiet, changed, before, after)
			}
		}
		if says(s.T, s.livePolicy(), "Ready", "True", "Ready") && s.settled() {
			quiet++
		} else {
			working++
		}
		return quiet == 5, ""
	})
	if working == 0 {
		s.Error("everything was done before Flux looked")
	}
	s.Logf("Flux: unchanged in %d rounds while the operator worked, and in %d at rest; %d met a write of the operator", working, quiet, raced)
}

func expect(s *scene, what string, seen, wanted []string) {
	s.Helper()
	if !slices.Equal(seen, wanted) {
		s.Errorf("%s: %v, not %v", what, seen, wanted)
	}
}

func TestFluxReportsNoChange(t *testing.T) {
	t.Parallel()
	s := newScene(t, "flux")
	git := append(s.kratos(), s.policy())
	expect(s, "the first reconcile", fluxReconcile(s, git), []string{
		"ConfigMap created", "Deployment created", "MfaPolicy created", "Secret created", "Service created", "Service created",
	})
	fluxKeepsQuiet(s, git)
	before := s.enforced()

	git = append(s.kratos(), s.policy(`{"spec": {"privilegedSessionMaxAge": "15m"}}`))
	expect(s, "an edit of the policy", fluxReconcile(s, git), []string{"MfaPolicy configured"})
	fluxKeepsQuiet(s, git)
	after := s.enforced()
	if count := rolls(t, before, after); count != 1 {
		t.Errorf("an edit of the policy rolled Kratos %d times", count)
	}

	git = append(s.kratos("deployment.podAnnotations.change=one"), git[len(git)-1])
	expect(s, "an edit of Kratos", fluxReconcile(s, git), []string{"Deployment configured"})
	fluxKeepsQuiet(s, git)
	if count := rolls(t, after, s.enforced()); count != 1 {
		t.Errorf("an edit of Kratos rolled it %d times", count)
	}

	// What must not be overlooked.
	s.kubectl("scale", "deployment/kratos", "--replicas=3")
	expect(s, "a change by hand", fluxReconcile(s, git), []string{"Deployment configured"})
}

func TestFluxTakesOverFromKubectl(t *testing.T) {
	t.Parallel()
	s := newScene(t, "flux-adopts")
	git := append(s.kratos(), s.policy())
	run(t, manifest(t, git...), "kubectl", "apply", "-f", "-")
	before := s.enforced()
	if len(fluxReconcile(s, git)) == 0 {
		t.Error("Flux had nothing to take over")
	}
	for range 5 {
		expect(s, "after Flux has taken over", fluxReconcile(s, git), nil)
	}
	s.unmoved(before, "taking over from kubectl")
}

// What Flux' helm-controller does to find drift between a release and the cluster.
func helmDrift(s *scene) (drift []string) {
	s.Helper()
	release := s.objects(s.run("helm", "get", "manifest", "kratos", "--namespace", s.namespace))
	if err := normalize.UnstructuredList(release); err != nil {
		s.Fatal(err)
	}
	set, err := jsondiff.UnstructuredList(background, kube, release, jsondiff.FieldOwner("helm-controller"), jsondiff.Graceful(true))
	if err != nil {
		s.Fatal(err)
	}
	for _, diff := range set {
		if diff.Type != jsondiff.DiffTypeNone {
			drift = append(drift, diff.GroupVersionKind().Kind+": "+diff.Patch.String())
		}
	}
	return drift
}

func TestFluxFindsNoDriftInAHelmRelease(t *testing.T) {
	t.Parallel()
	for _, helm := range []string{"helm", "helm3"} {
		t.Run(helm, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "drift-"+helm)
			s.run(helm, append([]string{"install", "kratos", "tests/cluster/kratos", "--namespace", s.namespace}, kratosValues(nil)...)...)
			run(t, manifest(t, s.policy()), "kubectl", "apply", "-f", "-")
			written := func() string {
				return s.kubectl("get", "deployment/kratos", "--output", "jsonpath={.metadata.resourceVersion}")
			}
			rounds, raced := 0, 0
			until(t, "the policy is ready", func() (bool, string) {
				before := written()
				drift := helmDrift(s)
				// As above: what is written between its read and its dry run looks like drift, once.
				if len(drift) > 0 && written() != before && raced < 3 {
					raced++
					return false, ""
				}
				expect(s, "drift while the operator works", drift, nil)
				rounds++
				return says(t, s.livePolicy(), "Ready", "True", "Ready"), ""
			})
			expect(s, "drift at rest", helmDrift(s), nil)
			t.Logf("helm-controller's diff: no drift in %d rounds while the operator worked, none at rest; %d met a write", rounds, raced)
			s.kubectl("scale", "deployment/kratos", "--replicas=3")
			if len(helmDrift(s)) == 0 {
				t.Error("a change by hand is no drift")
			}
		})
	}
}
