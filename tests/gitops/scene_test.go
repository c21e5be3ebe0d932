package gitops

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/ssa/utils"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// A namespace of its own, with what Git says about it.
type scene struct {
	*testing.T
	namespace string
}

// Such a policy, and Kratos as its chart renders it, are what an owner keeps in Git.
const policyText = `
apiVersion: mfa-operator.dev/v1alpha1
kind: MfaPolicy
metadata: {name: kratos}
spec:
  targetRefs: [{group: apps, kind: Deployment, name: kratos}]
  requiredAAL: {settings: highest_available, whoami: highest_available}
  methods: {totp: {enabled: true, issuer: Example}}
`

func newScene(t *testing.T, name string) *scene {
	t.Helper()
	needCluster(t)
	s := &scene{t, "gitops-" + name}
	s.run("kubectl", "delete", "namespace", s.namespace, "--ignore-not-found", "--timeout=120s")
	s.run("kubectl", "create", "namespace", s.namespace)
	// A failed one stays, to be looked at.
	t.Cleanup(func() {
		if !t.Failed() {
			s.run("kubectl", "delete", "namespace", s.namespace, "--wait=false")
		}
	})
	return s
}

func (s *scene) run(program string, arguments ...string) string {
	s.Helper()
	return run(s.T, "", program, arguments...)
}

func (s *scene) kubectl(arguments ...string) string {
	s.Helper()
	return s.run("kubectl", append([]string{"--namespace", s.namespace}, arguments...)...)
}

// Kratos as the chart renders it: each pod has a database of its own, since nobody signs in here.
func (s *scene) kratos(values ...string) []*unstructured.Unstructured {
	s.Helper()
	arguments := append([]string{"template", "kratos", "tests/cluster/kratos", "--namespace", s.namespace}, kratosValues(values)...)
	return s.objects(s.run("helm", arguments...))
}

func kratosValues(more []string) (arguments []string) {
	for _, value := range append([]string{"courier.enabled=false"}, more...) {
		arguments = append(arguments, "--set", value)
	}
	return arguments
}

// The policy, after edits that are JSON merge patches.
func (s *scene) policy(edits ...string) *unstructured.Unstructured {
	s.Helper()
	policy := s.objects(policyText)[0]
	for _, edit := range edits {
		merge(s.T, policy.Object, edit)
	}
	return policy
}

func merge(t *testing.T, object map[string]any, edit string) {
	t.Helper()
	var patch map[string]any
	if err := json.Unmarshal([]byte(edit), &patch); err != nil {
		t.Fatal(err)
	}
	mergeInto(object, patch)
}

func mergeInto(object, patch map[string]any) {
	for key, value := range patch {
		inner, isMap := value.(map[string]any)
		outer, wasMap := object[key].(map[string]any)
		switch {
		case value == nil:
			delete(object, key)
		case isMap && wasMap:
			mergeInto(outer, inner)
		default:
			object[key] = value
		}
	}
}

// Reads manifests and puts them into the namespace.
func (s *scene) objects(text string) []*unstructured.Unstructured {
	s.Helper()
	objects, err := utils.ReadObjects(strings.NewReader(text))
	if err != nil {
		s.Fatal(err)
	}
	for _, object := range objects {
		object.SetNamespace(s.namespace)
	}
	return objects
}

func manifest(t *testing.T, objects ...*unstructured.Unstructured) string {
	t.Helper()
	var all []string
	for _, object := range objects {
		text, err := yaml.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return strings.Join(all, "---\n")
}

func copies(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	fresh := make([]*unstructured.Unstructured, len(objects))
	for index, object := range objects {
		fresh[index] = object.DeepCopy()
	}
	return fresh
}

func find(t *testing.T, objects []*unstructured.Unstructured, kind string) *unstructured.Unstructured {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() == kind {
			return object
		}
	}
	t.Fatalf("no %s", kind)
	return nil
}

// The live object of the same name.
func (s *scene) live(object *unstructured.Unstructured) *unstructured.Unstructured {
	s.Helper()
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(object.GroupVersionKind())
	if err := kube.Get(background, client.ObjectKeyFromObject(object), live); err != nil {
		s.Fatal(err)
	}
	return live
}

func (s *scene) livePolicy() *unstructured.Unstructured { return s.live(s.policy()) }

func (s *scene) deployment() *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment"}}
	object.SetNamespace(s.namespace)
	object.SetName("kratos")
	return s.live(object)
}

type condition struct{ Type, Status, Reason, Message string }

// Conditions of a policy, if they speak of its current generation.
func conditions(t *testing.T, policy *unstructured.Unstructured) (all []condition) {
	t.Helper()
	var status struct {
		ObservedGeneration int64
		Conditions         []condition
	}
	text, err := json.Marshal(policy.Object["status"])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &status); err != nil {
		t.Fatal(err)
	}
	if status.ObservedGeneration != policy.GetGeneration() {
		return nil
	}
	return status.Conditions
}

// Whether the policy has this condition with this reason now.
func says(t *testing.T, policy *unstructured.Unstructured, type_, status, reason string) bool {
	return slices.ContainsFunc(conditions(t, policy), func(c condition) bool {
		return c.Type == type_ && c.Status == status && c.Reason == reason
	})
}

// Waits for a verdict of the operator. The policy as it was then.
func (s *scene) await(status, reason string) (policy *unstructured.Unstructured) {
	s.Helper()
	until(s.T, fmt.Sprintf("Ready is %s with reason %s", status, reason), func() (bool, string) {
		policy = s.livePolicy()
		return says(s.T, policy, "Ready", status, reason), fmt.Sprint(conditions(s.T, policy))
	})
	return policy
}

// One pod of Kratos that is not about to end: its uid, and whether it was created with the policy's settings.
type pod struct {
	uid      string
	enforces bool
}

func (s *scene) pods() (pods []pod) {
	s.Helper()
	var list struct {
		Items []struct {
			Metadata struct {
				UID               string
				DeletionTimestamp *string
			}
			Spec struct {
				Containers []struct {
					Env []struct{ Name, Value string }
				}
			}
		}
	}
	text := s.kubectl("get", "pods", "--selector", "app.kubernetes.io/name=kratos", "--output", "json")
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		s.Fatal(err)
	}
	for _, item := range list.Items {
		if item.Metadata.DeletionTimestamp != nil {
			continue
		}
		one := pod{uid: item.Metadata.UID}
		for _, variable := range item.Spec.Containers[0].Env {
			one.enforces = one.enforces || variable.Name == "SESSION_WHOAMI_REQUIRED_AAL" && variable.Value == "highest_available"
		}
		pods = append(pods, one)
	}
	slices.SortFunc(pods, func(a, b pod) int { return strings.Compare(a.uid, b.uid) })
	return pods
}

// What must stay as it is where nothing is rolled.
type standing struct {
	revision string // of the Deployment: the number of its rolls
	spec     string
	pods     []pod
}

// Every pod enforces the policy, and the policy is ready. What then stands.
func (s *scene) enforced() standing {
	s.Helper()
	s.await("True", "Ready")
	pods := s.pods()
	if len(pods) != 2 || slices.ContainsFunc(pods, func(p pod) bool { return !p.enforces }) {
		s.Fatalf("the policy is Ready over the pods %v", pods)
	}
	deployment := s.deployment()
	return standing{deployment.GetAnnotations()["deployment.kubernetes.io/revision"], fmt.Sprint(deployment.Object["spec"]), pods}
}

func (s *scene) unmoved(before standing, what string) {
	s.Helper()
	if after := s.enforced(); after.revision != before.revision || after.spec != before.spec || !slices.Equal(after.pods, before.pods) {
		s.Errorf("%s moved Kratos from %v to %v", what, before, after)
	}
}

// Kratos rolled this often between the two.
func rolls(t *testing.T, before, after standing) int {
	t.Helper()
	first, err := strconv.Atoi(before.revision)
	if err != nil {
		t.Fatal(err)
	}
	second, err := strconv.Atoi(after.revision)
	if err != nil {
		t.Fatal(err)
	}
	return second - first
}

// Whether the Deployment's controller is done with its last change.
func (s *scene) settled() bool {
	s.Helper()
	object := s.deployment()
	number := func(name string) int64 {
		value, _, _ := unstructured.NestedInt64(object.Object, "status", name)
		return value
	}
	return number("observedGeneration") == object.GetGeneration() && number("replicas") == 2 && number("updatedReplicas") == 2 &&
		number("availableReplicas") == 2
}

// Whether a pod template carries settings of a policy.
func containsVariable(template string) bool { return strings.Contains(template, "REQUIRED_AAL") }

// Waits until nothing of a policy that is gone is left on Kratos: the operator lets 30 s pass first.
func (s *scene) reverted() {
	s.Helper()
	until(s.T, "the policy is reverted", func() (bool, string) {
		text := fmt.Sprint(s.deployment().Object["spec"])
		return !containsVariable(text), text
	})
}
