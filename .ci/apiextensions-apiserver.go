// The part of a kube-apiserver that serves CustomResourceDefinitions and their objects, for tests on loopback. Its users
// come from a token file. Alone, members of system:masters may do everything and namespaces are only names. With
// --kubeconfig it stands before another kube-apiserver of the same users: that one serves everything else (namespaces,
// pods, leases, ...), says which namespaces there are, and, with --authorization-kubeconfig, who may do what.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/spf13/pflag"
	tracing "go.opentelemetry.io/otel/trace/noop"
	"k8s.io/apiextensions-apiserver/pkg/apiserver"
	listers "k8s.io/apiextensions-apiserver/pkg/client/listers/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	generated "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/token/tokenfile"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	naming "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/openapi"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/kubernetes/scheme"
	client "k8s.io/client-go/rest"
	"k8s.io/component-base/version"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "apiextensions-apiserver:", err)
		os.Exit(1)
	}
}

func run() error {
	var tokens string
	var showsVersion bool
	o := options.NewCustomResourceDefinitionsServerOptions(os.Stdout, os.Stderr)
	r := o.RecommendedOptions
	r.Authentication = nil
	r.Features.EnablePriorityAndFairness = false
	flags := pflag.NewFlagSet("apiextensions-apiserver", pflag.ContinueOnError)
	o.AddFlags(flags)
	flags.StringVar(&tokens, "token-auth-file", "", "token,user,uid,\"groups\" in each line")
	flags.BoolVar(&showsVersion, "version", false, "say the version and end")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	if showsVersion {
		fmt.Println("Kubernetes", version.Get().GitVersion)
		return nil
	}
	if r.Authorization.RemoteKubeConfigFile == "" {
		r.Authorization = nil
	}
	if r.CoreAPI.CoreAPIKubeconfigPath == "" {
		r.CoreAPI, r.Admission = nil, nil
	}
	if err := o.ServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	if err := o.Complete(); err != nil {
		return err
	}
	if err := o.Validate(); err != nil {
		return err
	}
	config, err := configuration(o, tokens)
	if err != nil {
		return err
	}
	rest := http.Handler(http.NotFoundHandler())
	if r.CoreAPI != nil {
		if rest, err = proxy(config.GenericConfig.ClientConfig); err != nil {
			return err
		}
	}
	// The list of groups is the aggregator's in a kube-apiserver; here there is none.
	var discovery http.Handler
	delegate := http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/apis" {
			discovery.ServeHTTP(w, request)
		} else {
			rest.ServeHTTP(w, request)
		}
	})
	server, err := config.Complete().New(genericapiserver.NewEmptyDelegateWithCustomHandler(delegate))
	if err != nil {
		return err
	}
	definitions := server.Informers.Apiextensions().V1().CustomResourceDefinitions().Lister()
	discovery = aggregated.WrapAggregatedDiscoveryToHandler(
		groups(definitions, rest), server.GenericAPIServer.AggregatedDiscoveryGroupManager, nil)
	return server.GenericAPIServer.PrepareRun().RunWithContext(genericapiserver.SetupSignalContext())
}

func configuration(o *options.CustomResourceDefinitionsServerOptions, tokens string) (*apiserver.Config, error) {
	r := o.RecommendedOptions
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	if err := r.SecureServing.MaybeDefaultWithSelfSignedCerts("localhost", nil, loopback); err != nil {
		return nil, err
	}
	generic := genericapiserver.NewRecommendedConfig(apiserver.Codecs)
	if err := o.ServerRunOptions.ApplyTo(&generic.Config); err != nil {
		return nil, err
	}
	if err := r.ApplyTo(generic); err != nil {
		return nil, err
	}
	source := apiserver.DefaultAPIResourceConfigSource()
	if err := o.APIEnablement.ApplyTo(&generic.Config, source, apiserver.Scheme); err != nil {
		return nil, err
	}
	users, err := tokenfile.NewCSV(tokens)
	if err != nil {
		return nil, fmt.Errorf("--token-auth-file: %w", err)
	}
	generic.Authentication.Authenticator = union.NewFailOnError(
		group.NewAuthenticatedGroupAdder(bearertoken.New(users)), anonymous.NewAuthenticator(nil))
	if r.Authorization == nil {
		generic.Authorization.Authorizer = authorizerfactory.NewPrivilegedGroups("system:masters")
	}
	generic.BuildHandlerChainFunc = func(handler http.Handler, c *genericapiserver.Config) http.Handler {
		return keepToken(genericapiserver.DefaultBuildHandlerChain(handler, c))
	}
	generic.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(
		openapi.GetOpenAPIDefinitionsWithoutDisabledFeatures(generated.GetOpenAPIDefinitions),
		naming.NewDefinitionNamer(apiserver.Scheme, scheme.Scheme))
	return &apiserver.Config{
		GenericConfig: generic,
		ExtraConfig: apiserver.ExtraConfig{
			CRDRESTOptionsGetter: options.NewCRDRESTOptionsGetter(
				*r.Etcd, generic.ResourceTransformers, generic.StorageObjectCountTracker),
			ServiceResolver: noServices{},
			AuthResolverWrapper: webhook.NewDefaultAuthenticationInfoResolverWrapper(
				nil, nil, generic.LoopbackClientConfig, tracing.NewTracerProvider()),
		},
	}, nil
}

// The groups of the definitions and those of the other server, as clients read them that do not aggregate.
func groups(definitions listers.CustomResourceDefinitionLister, rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		found, err := definitions.List(labels.Everything())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		versions := map[string][]string{"apiextensions.k8s.io": {"v1"}}
		for _, definition := range found {
			group := definition.Spec.Group
			for _, version := range definition.Spec.Versions {
				if version.Served && !slices.Contains(versions[group], version.Name) {
					versions[group] = append(versions[group], version.Name)
				}
			}
		}
		list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		for _, name := range slices.Sorted(maps.Keys(versions)) {
			group := metav1.APIGroup{Name: name}
			for _, version := range versions[name] {
				group.Versions = append(group.Versions, metav1.GroupVersionForDiscovery{
					GroupVersion: name + "/" + version, Version: version,
				})
			}
			group.PreferredVersion = group.Versions[0]
			list.Groups = append(list.Groups, group)
		}
		recorder := httptest.NewRecorder()
		plain := request.Clone(request.Context())
		plain.Header.Set("Accept", "application/json")
		rest.ServeHTTP(recorder, plain)
		var others metav1.APIGroupList
		if recorder.Code == http.StatusOK && json.Unmarshal(recorder.Body.Bytes(), &others) == nil {
			for _, group := range others.Groups {
				if versions[group.Name] == nil {
					list.Groups = append(list.Groups, group)
				}
			}
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(list)
	})
}

// Conversion webhooks are not called.
type noServices struct{}

func (noServices) ResolveEndpoint(namespace, name string, port int32) (*url.URL, error) {
	return nil, errors.New("there are no services here")
}

// Where a user's own token is found behind authentication, which takes it out of the request.
const kept = "X-Trainyard-Authorization"

func keepToken(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		request.Header[kept] = request.Header["Authorization"]
		handler.ServeHTTP(w, request)
	})
}

// The user's own token goes along: both servers have the same users.
func proxy(core *client.Config) (http.Handler, error) {
	target, _, err := client.DefaultServerURL(core.Host, "", schema.GroupVersion{}, true)
	if err != nil {
		return nil, err
	}
	trust, err := client.TLSConfigFor(core)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		TLSClientConfig: trust, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute,
		DisableCompression: true,
	}
	return &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) {
			request.SetURL(target)
			request.Out.Header["Authorization"] = request.In.Header[kept]
			request.Out.Header.Del(kept)
		},
		Transport: transport, FlushInterval: -1,
	}, nil
}
