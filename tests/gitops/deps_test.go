package gitops

import (
	_ "github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	_ "github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	_ "github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	_ "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	_ "github.com/fluxcd/helm-controller/api/v2"
	_ "github.com/fluxcd/kustomize-controller/api/v1"
	_ "github.com/fluxcd/pkg/ssa"
	_ "github.com/fluxcd/pkg/ssa/jsondiff"
	_ "github.com/fluxcd/source-controller/api/v1"
	_ "github.com/yuin/gopher-lua"
	_ "sigs.k8s.io/kustomize/api/krusty"
)
