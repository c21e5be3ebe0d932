package gitops

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// The health check of docs/gitops, in Argo CD's own place for such a check.
type luaHealth struct{ script string }

func readHealth(t *testing.T) luaHealth {
	t.Helper()
	script, err := os.ReadFile(filepath.Join(tree, "docs/gitops/argocd/health.lua"))
	if err != nil {
		t.Fatal(err)
	}
	return luaHealth{string(script)}
}

// The script sees what it sees in Argo CD: the object as `obj`, and of Lua's libraries only the harmless ones.
func (l luaHealth) GetResourceHealth(object *unstructured.Unstructured) (*health.HealthStatus, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString,
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return nil, err
		}
	}
	state.SetGlobal("obj", toLua(state, object.Object))
	if err := state.DoString(l.script); err != nil {
		return nil, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return nil, fmt.Errorf("the script returns %s", state.Get(-1))
	}
	return &health.HealthStatus{
		Status:  health.HealthStatusCode(table.RawGetString("status").String()),
		Message: table.RawGetString("message").String(),
	}, nil
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, inner := range value {
			table.RawSetString(key, toLua(state, inner))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, inner := range value {
			table.Append(toLua(state, inner))
		}
		return table
	case string:
		return lua.LString(value)
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	default:
		return lua.LNil
	}
}

// What kstatus, and so Flux, and what Argo CD make of a policy.
type verdicts struct {
	kstatus status.Status
	argo    health.HealthStatusCode
}

func judge(t *testing.T, policy *unstructured.Unstructured) (verdicts, string) {
	t.Helper()
	computed, err := status.Compute(policy)
	if err != nil {
		t.Fatal(err)
	}
	assessed, err := health.GetResourceHealth(policy, readHealth(t))
	if err != nil {
		t.Fatal(err)
	}
	return verdicts{computed.Status, assessed.Status}, fmt.Sprintf("kstatus: %s; Argo CD: %s", computed.Message, assessed.Message)
}

// A stage of a policy's life: the reason of its condition Ready, and what the engines have to make of it.
type stage struct {
	name   string
	reason string
	verdicts
}

var (
	working   = verdicts{status.InProgressStatus, health.HealthStatusProgressing}
	done      = verdicts{status.CurrentStatus, health.HealthStatusHealthy}
	refused   = verdicts{status.FailedStatus, health.HealthStatusDegraded}
	suspended = verdicts{status.FailedStatus, health.HealthStatusSuspended}
)

// Every stage that is played below, so that no record is left over, and none is missing.
var stages = []stage{
	{"no-target", "TargetNotFound", working},
	{"rolling", "Progressing", working},
	{"in-force", "Ready", done},
	{"paused", "TargetPaused", working},
	{"crashing", "Crashing", working},
	{"rolled-back", "RolledBack", refused},
	{"suspended", "Suspended", suspended},
	{"conflict", "FieldConflict", refused},
	{"not-kratos", "NotKratos", refused},
	{"no-container", "ContainerNotFound", refused},
}

const records = "tests/gitops/testdata/policies"

// Waits until the live policy is in this stage, and has the engines judge it. With GITOPS_RECORD it is written down.
func (s *scene) stage(name string) {
	s.Helper()
	index := slices.IndexFunc(stages, func(one stage) bool { return one.name == name })
	if index < 0 {
		s.Fatalf("no stage %s", name)
	}
	wanted := stages[index]
	state := "False"
	if wanted.reason == "Ready" {
		state = "True"
	}
	policy := s.await(state, wanted.reason)
	if seen, words := judge(s.T, policy); seen != wanted.verdicts {
		s.Errorf("%s: the engines say %v, not %v: %s", name, seen, wanted.verdicts, words)
	}
	if os.Getenv("GITOPS_RECORD") == "" {
		return
	}
	unstructured.RemoveNestedField(policy.Object, "metadata", "managedFields")
	unstructured.RemoveNestedField(policy.Object, "metadata", "annotations")
	text, err := yaml.Marshal(policy.Object)
	if err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, records, name+".yaml"), text, 0o644); err != nil {
		s.Fatal(err)
	}
}

func (s *scene) apply(objects ...*unstructured.Unstructured) {
	s.Helper()
	run(s.T, manifest(s.T, objects...), "kubectl", "apply", "--server-side", "--force-conflicts", "-f", "-")
}

// Looks at the policy as often as it can until it is ready: what the engines said, each verdict once in a row.
func (s *scene) watch() (seen []verdicts) {
	s.Helper()
	until(s.T, "the policy is ready", func() (bool, string) {
		for until := time.Now().Add(250 * time.Millisecond); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
			policy := s.livePolicy()
			now, _ := judge(s.T, policy)
			if len(seen) == 0 || seen[len(seen)-1] != now {
				seen = append(seen, now)
			}
			if says(s.T, policy, "Ready", "True", "Ready") {
				return true, ""
			}
		}
		return false, fmt.Sprint(seen)
	})
	return seen
}

func TestEnginesFollowARoll(t *testing.T) {
	t.Parallel()
	s := newScene(t, "stages")
	s.apply(s.policy())
	s.stage("no-target")
	s.apply(s.kratos()...)
	s.stage("rolling")
	if seen := s.watch(); !slices.Equal(seen, []verdicts{working, done}) {
		t.Errorf("while Kratos came up the engines said %v", seen)
	}
	s.stage("in-force")

	// An edit is in progress from the moment that the API server has it.
	s.apply(s.policy(`{"spec": {"requiredAAL": {"settings": "aal1", "whoami": "aal1"}}}`))
	s.await("True", "Ready")
	s.apply(s.policy())
	if seen := s.watch(); !slices.Equal(seen, []verdicts{working, done}) {
		t.Errorf("while an edit rolled the engines said %v", seen)
	}
	s.enforced()

	s.kubectl("rollout", "pause", "deployment/kratos")
	s.apply(s.policy(`{"spec": {"privilegedSessionMaxAge": "15m"}}`))
	s.stage("paused")
	s.kubectl("rollout", "resume", "deployment/kratos")
	s.await("True", "Ready")

	// Only an edit that waits makes it so: a policy that is in force is ready, suspended or not.
	s.apply(s.policy(`{"spec": {"privilegedSessionMaxAge": "30m", "suspend": true}}`))
	s.stage("suspended")
	s.apply(s.policy(`{"spec": {"privilegedSessionMaxAge": "30m"}}`))
	s.await("True", "Ready")
}

func TestEnginesTellAWaitFromARefusal(t *testing.T) {
	t.Parallel()
	s := newScene(t, "refusals")
	// Kratos refuses a code as second factor where it is a first one. The operator does not read what stands in a
	// Secret; where it knows, it refuses the policy first.
	s.kubectl("create", "secret", "generic", "first-factor", "--from-literal=code=true")
	variable := "deployment.extraEnv[0]."
	s.apply(s.kratos(variable+"name=SELFSERVICE_METHODS_CODE_PASSWORDLESS_ENABLED",
		variable+"valueFrom.secretKeyRef.name=first-factor", variable+"valueFrom.secretKeyRef.key=code")...)
	s.kubectl("rollout", "status", "deployment/kratos", "--timeout=120s")
	fatal := `{"spec": {"methods": {"code": {"mfaEnabled": true}}, "acknowledge": ["CodeCountsForEveryone"]%s}}`
	s.apply(s.policy(fmt.Sprintf(fatal, `, "rollout": {"onFailure": "Hold"}`)))
	s.stage("crashing")
	s.apply(s.policy(fmt.Sprintf(fatal, "")))
	s.stage("rolled-back")
	s.apply(s.policy(`{"spec": {"acknowledge": ["MethodSwitchedOff:code"]}}`))
	s.await("True", "Ready")

	s.apply(s.policy(`{"spec": {"acknowledge": ["MethodSwitchedOff:code"], "targetRefs": [{"name": "kratos", "container": "other"}]}}`))
	s.stage("no-container")
	s.apply(s.policy(`{"spec": {"acknowledge": ["MethodSwitchedOff:code"]}}`))
	s.await("True", "Ready")
	s.kubectl("delete", "mfapolicy", "kratos")
	s.reverted()

	s.kubectl("set", "env", "deployment/kratos", "SESSION_WHOAMI_REQUIRED_AAL=aal1")
	s.apply(s.policy())
	s.stage("conflict")
	s.kubectl("set", "env", "deployment/kratos", "SESSION_WHOAMI_REQUIRED_AAL-")
	s.await("True", "Ready")

	s.kubectl("create", "deployment", "probe", "--image=docker.io/testbed/probe:1")
	s.apply(s.policy(`{"spec": {"targetRefs": [{"name": "kratos"}, {"name": "probe"}]}}`))
	s.stage("not-kratos")
}

func TestHealthCheckKnowsRecordedStatuses(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(tree, records, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != len(stages) {
		t.Errorf("%d records of %d stages", len(found), len(stages))
	}
	for _, one := range stages {
		t.Run(one.name, func(t *testing.T) {
			policy := readRecord(t, one.name)
			if !says(t, policy, "Ready", map[bool]string{true: "True", false: "False"}[one.reason == "Ready"], one.reason) {
				t.Fatalf("the record does not say %s", one.reason)
			}
			if seen, words := judge(t, policy); seen != one.verdicts {
				t.Errorf("%v, not %v: %s", seen, one.verdicts, words)
			}
			// The operator has not seen the next edit yet, whatever it said of the last one.
			policy.SetGeneration(policy.GetGeneration() + 1)
			if seen, words := judge(t, policy); seen != working {
				t.Errorf("after an edit %v, not %v: %s", seen, working, words)
			}
			if seen, words := judge(t, fresh(policy)); seen != working {
				t.Errorf("before the operator has seen it %v, not %v: %s", seen, working, words)
			}
		})
	}
}

func readRecord(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(tree, records, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text, err = yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	policy := &unstructured.Unstructured{}
	if err := json.Unmarshal(text, policy); err != nil {
		t.Fatal(err)
	}
	return policy
}

// As the API server stores a new one: the definition gives it a status, because kstatus takes what has none for current.
func fresh(policy *unstructured.Unstructured) *unstructured.Unstructured {
	fresh := policy.DeepCopy()
	fresh.Object["status"] = map[string]any{"observedGeneration": int64(-1)}
	return fresh
}
