// engine is Helm started once: it installs and upgrades what it is asked to, one release after the other. Half of what
// a run of the helm program costs is its start.
//
// It reads requests from standard input and answers on standard output, as JSON. Before anything is stored or applied
// it shows what was rendered, and waits to be told what to install instead. Nothing of one request reaches the next.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/loader"
	values "helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/cli"
	"helm.sh/helm/v4/pkg/kube"
	ri "helm.sh/helm/v4/pkg/release"
	release "helm.sh/helm/v4/pkg/release/v1"
)

type request struct {
	Verb       string            `json:"verb"`
	Chart      string            `json:"chart"`
	Release    string            `json:"release"`
	Namespace  string            `json:"namespace"`
	As         string            `json:"as"`
	Labels     map[string]string `json:"labels"`
	Timeout    string            `json:"timeout"`
	HistoryMax int               `json:"historyMax"`
	Values     json.RawMessage   `json:"values"`
}

type info struct {
	Notes string `json:"notes"`
}

type done struct {
	Version  int    `json:"version"`
	Manifest string `json:"manifest"`
	Info     info   `json:"info"`
}

type answer struct {
	Rendered *string `json:"rendered,omitempty"`
	Done     *done   `json:"done,omitempty"`
	Error    string  `json:"error,omitempty"`
}

type reviewed struct {
	Manifest *string `json:"manifest"`
}

// talk is with whoever started this.
type talk struct {
	in  *json.Decoder
	out *json.Encoder
}

// Run shows what was rendered; it is how Helm asks a post-renderer.
func (t talk) Run(rendered *bytes.Buffer) (*bytes.Buffer, error) {
	text := rendered.String()
	if err := t.out.Encode(answer{Rendered: &text}); err != nil {
		return nil, err
	}
	var said reviewed
	if err := t.in.Decode(&said); err != nil {
		return nil, err
	}
	if said.Manifest == nil {
		return nil, errors.New("refused by the review")
	}
	return bytes.NewBufferString(*said.Manifest), nil
}

func main() {
	kube.ManagedFieldsManager = "helm" // as the helm program is known
	with := talk{json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)}
	with.out.SetEscapeHTML(false)
	for {
		var asked request
		if err := with.in.Decode(&asked); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		said := answer{}
		if found, err := apply(asked, with); err != nil {
			said.Error = err.Error()
		} else {
			said.Done = found
		}
		if err := with.out.Encode(said); err != nil {
			os.Exit(1)
		}
	}
}

func apply(asked request, with talk) (*done, error) {
	timeout, err := time.ParseDuration(asked.Timeout)
	if err != nil {
		return nil, err
	}
	found, err := chartFrom(asked)
	if err != nil {
		return nil, err
	}
	given, err := values.LoadValues(bytes.NewReader(asked.Values))
	if err != nil {
		return nil, err
	}
	configuration, err := configured(asked)
	if err != nil {
		return nil, err
	}
	if asked.Verb == "install" {
		return installed(asked, timeout, found, given, configuration, with)
	}
	return upgraded(asked, timeout, found, given, configuration, with)
}

// configured is made anew each time: whoever is acted for must not stick.
func configured(asked request) (*action.Configuration, error) {
	settings := cli.New()
	settings.KubeAsUser = asked.As
	settings.SetNamespace(asked.Namespace)
	configuration := action.NewConfiguration()
	return configuration, configuration.Init(settings.RESTClientGetter(), asked.Namespace, "secret")
}

func chartFrom(asked request) (chart.Charter, error) {
	found, err := loader.Load(asked.Chart)
	if err != nil {
		return nil, err
	}
	access, err := chart.NewAccessor(found)
	if err != nil {
		return nil, err
	}
	if kind := access.MetadataAsMap()["Type"]; asked.Verb == "install" && kind != "" && kind != "application" {
		return nil, fmt.Errorf("%s charts are not installable", kind)
	}
	if needed := access.MetaDependencies(); len(needed) > 0 {
		if err := action.CheckDependencies(found, needed); err != nil {
			return nil, fmt.Errorf("an error occurred while checking for chart dependencies: %w", err)
		}
	}
	return found, nil
}

func installed(
	asked request, timeout time.Duration, found chart.Charter, given map[string]any, configuration *action.Configuration, with talk,
) (*done, error) {
	install := action.NewInstall(configuration)
	install.ReleaseName = asked.Release
	install.Namespace = asked.Namespace
	install.Timeout = timeout
	install.Labels = asked.Labels
	install.SkipCRDs = true
	install.DisableOpenAPIValidation = true
	install.WaitStrategy = kube.HookOnlyStrategy
	install.PostRenderer = with
	made, err := install.RunWithContext(context.Background(), found, given)
	if err != nil {
		return nil, fmt.Errorf("INSTALLATION FAILED: %w", err)
	}
	return told(made)
}

func upgraded(
	asked request, timeout time.Duration, found chart.Charter, given map[string]any, configuration *action.Configuration, with talk,
) (*done, error) {
	upgrade := action.NewUpgrade(configuration)
	upgrade.Namespace = asked.Namespace
	upgrade.Timeout = timeout
	upgrade.Labels = asked.Labels
	upgrade.SkipCRDs = true
	upgrade.DisableOpenAPIValidation = true
	upgrade.WaitStrategy = kube.HookOnlyStrategy
	upgrade.MaxHistory = asked.HistoryMax
	upgrade.PostRenderer = with
	made, err := upgrade.RunWithContext(context.Background(), asked.Release, found, given)
	if err != nil {
		return nil, fmt.Errorf("UPGRADE FAILED: %w", err)
	}
	return told(made)
}

func told(made ri.Releaser) (*done, error) {
	found, ok := made.(*release.Release)
	if !ok {
		return nil, fmt.Errorf("Helm made a %T", made)
	}
	return &done{found.Version, found.Manifest, info{found.Info.Notes}}, nil
}
