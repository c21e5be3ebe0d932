package gitops

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// What kustomize builds of a folder of the repository.
func build(t *testing.T, files filesys.FileSystem, folder string) string {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, folder)
	if err != nil {
		t.Fatal(err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func onDisk() filesys.FileSystem { return filesys.MakeFsOnDisk() }

func level(t *testing.T, text string) (whoami string) {
	t.Helper()
	var policy unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(text), &policy.Object); err != nil {
		t.Fatal(err)
	}
	whoami, _, err := unstructured.NestedString(policy.Object, "spec", "requiredAAL", "whoami")
	if err != nil {
		t.Fatal(err)
	}
	return whoami
}

func TestKustomizeBuildsTheExamples(t *testing.T) {
	for folder, whoami := range map[string]string{"base": "aal1", "production": "highest_available"} {
		t.Run(folder, func(t *testing.T) {
			if seen := level(t, build(t, onDisk(), filepath.Join(tree, "docs/gitops/kustomize", folder))); seen != whoami {
				t.Errorf("whoami is %q", seen)
			}
		})
	}
}

// A prefix reaches the names that a policy has in it.
func TestKustomizeRenamesTheTargetsOfAPolicy(t *testing.T) {
	files := filesys.MakeFsInMemory()
	write := func(path, text string) {
		t.Helper()
		if err := files.WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	copied := func(path string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(tree, "docs/gitops/kustomize", path))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, path := range []string{"base/policy.yaml", "base/kustomization.yaml", "eu/names.yaml", "eu/kustomization.yaml"} {
		write("/"+path, copied(path))
	}
	write("/server/kustomization.yaml", "resources: [kratos.yaml]\nnamespace: identity\n")
	write("/server/kratos.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: kratos}\n")
	production := strings.Replace(copied("production/kustomization.yaml"), "[../base]", "[../base, ../server]", 1)
	write("/production/kustomization.yaml", production)
	var target string
	for _, document := range strings.Split(build(t, files, "/eu"), "\n---\n") {
		var object unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatal(err)
		}
		if object.GetName() != "eu-kratos" {
			t.Errorf("%s is called %s", object.GetKind(), object.GetName())
		}
		if object.GetKind() == "MfaPolicy" {
			refs, _, _ := unstructured.NestedSlice(object.Object, "spec", "targetRefs")
			target, _, _ = unstructured.NestedString(refs[0].(map[string]any), "name")
		}
	}
	if target != "eu-kratos" {
		t.Errorf("the policy is about %q", target)
	}
}

func TestTheAPIServerAcceptsTheExamples(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"base", "production"} {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "example-"+folder)
			policy := s.objects(build(t, onDisk(), filepath.Join(tree, "docs/gitops/kustomize", folder)))
			text := manifest(t, policy...)
			run(t, text, "kubectl", "apply", "--server-side", "--validate=strict", "-f", "-")
			if _, err := attempt(text+"  unknown: 1\n", "kubectl", "apply", "--server-side", "--validate=strict", "-f", "-"); err == nil {
				t.Error("a field that does not exist is accepted")
			}
		})
	}
}

// The manifests of a file under docs/gitops.
func documents(t *testing.T, file string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(tree, "docs/gitops", file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n---\n")
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}

func exists(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(tree, path)); err != nil {
		t.Error(err)
	}
}

func TestFluxKnowsItsExamples(t *testing.T) {
	build(t, onDisk(), filepath.Join(tree, "docs/gitops/flux/system"))
	system := documents(t, "flux/system/operator.yaml")
	var source sourcev1.GitRepository
	var release helmv2.HelmRelease
	decode(t, system[0], &source)
	decode(t, system[1], &release)
	exists(t, filepath.Join(release.Spec.Chart.Spec.Chart, "Chart.yaml"))
	if release.Spec.Chart.Spec.SourceRef.Name != source.Name {
		t.Errorf("the release comes from %s", release.Spec.Chart.Spec.SourceRef.Name)
	}
	// The values that the example sets are ones that the chart has.
	values := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(values, release.Spec.Values.Raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if config != nil { // Helm comes with the cluster.
		run(t, "", "helm", "template", "operator", release.Spec.Chart.Spec.Chart, "--values", values)
	}

	identity := documents(t, "flux/identity.yaml")
	var operator, policies kustomizev1.Kustomization
	decode(t, identity[0], &operator)
	decode(t, identity[1], &policies)
	for _, one := range []kustomizev1.Kustomization{operator, policies} {
		exists(t, filepath.Join(one.Spec.Path, "kustomization.yaml"))
	}
	if len(policies.Spec.DependsOn) != 1 || policies.Spec.DependsOn[0].Name != operator.Name {
		t.Errorf("the policies depend on %v", policies.Spec.DependsOn)
	}
}

func TestArgoCDExamplesPointAtWhatExists(t *testing.T) {
	var paths []string
	for _, text := range documents(t, "argocd/applications.yaml") {
		var application struct {
			Spec struct{ Source struct{ Path string } }
		}
		if err := yaml.Unmarshal([]byte(text), &application); err != nil {
			t.Fatal(err)
		}
		exists(t, application.Spec.Source.Path)
		paths = append(paths, application.Spec.Source.Path)
	}
	if len(paths) != 2 {
		t.Errorf("the Applications are %v", paths)
	}
}

// The component adds the health check, as it is, to the settings that somebody has already.
func TestKustomizeAddsTheHealthCheck(t *testing.T) {
	files := filesys.MakeFsInMemory()
	write := func(name, text string) {
		if err := files.WriteFile(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"kustomization.yaml", "health.lua"} {
		text, err := os.ReadFile(filepath.Join(tree, "docs/gitops/argocd", name))
		if err != nil {
			t.Fatal(err)
		}
		write("/mfa/"+name, string(text))
	}
	write("/argo/argocd-cm.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: argocd-cm, namespace: argocd}, data: {url: https://argo.example.com}}")
	write("/argo/kustomization.yaml", "{resources: [argocd-cm.yaml], components: [../mfa]}")
	var settings struct{ Data map[string]string }
	if err := yaml.Unmarshal([]byte(build(t, files, "/argo")), &settings); err != nil {
		t.Fatal(err)
	}
	if len(settings.Data) != 2 || settings.Data["resource.customizations.health.mfa-operator.dev_MfaPolicy"] != readHealth(t).script {
		t.Errorf("argocd-cm holds %v", settings.Data)
	}
}
