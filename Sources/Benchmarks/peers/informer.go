// The peer of Benchmarks compare: TrainingJobs in a dynamic informer of client-go, as an operator in Go keeps objects
// whose types it has not compiled in. Prints one JSON line when it has read them; with -patches N, another with the
// status patches a second that two workers made. Then it waits for the end.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var jobs = schema.GroupVersionResource{Group: "trainyard.dev", Version: "v1alpha1", Resource: "trainingjobs"}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "")
	patches := flag.Int("patches", 0, "")
	workers := flag.Int("workers", 2, "")
	flag.Parse()
	if err := run(context.Background(), *kubeconfig, *patches, *workers); err != nil {
		fmt.Fprintln(os.Stderr, "informer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig string, patches, workers int) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1 // client-go's own limit of 5 requests a second is off.
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	informer := factory.ForResource(jobs).Informer()
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return fmt.Errorf("never synced")
	}
	say(map[string]any{"synced": true, "objects": len(informer.GetStore().List())})
	if patches > 0 {
		speed, err := patch(ctx, client, informer.GetStore().List(), patches, workers)
		if err != nil {
			return err
		}
		say(map[string]any{"patchesPerSecond": speed})
	}
	<-ctx.Done()
	return nil
}

// Each patch changes something, so that the server stores it.
func patch(ctx context.Context, client dynamic.Interface, objects []any, count, workers int) (float64, error) {
	if len(objects) == 0 {
		return 0, fmt.Errorf("there is nothing to patch")
	}
	var next atomic.Int64
	var group sync.WaitGroup
	failures := make(chan error, workers)
	mark := time.Now().UnixNano() % 1_000_000
	start := time.Now()
	for range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			for index := int(next.Add(1)) - 1; index < count; index = int(next.Add(1)) - 1 {
				object := objects[index%len(objects)].(*unstructured.Unstructured)
				body := fmt.Sprintf(`{"status":{"restarts":%d}}`, mark+int64(index)+1)
				_, err := client.Resource(jobs).Namespace(object.GetNamespace()).Patch(
					ctx, object.GetName(), types.MergePatchType, []byte(body), metav1.PatchOptions{}, "status")
				if err != nil {
					failures <- err
					return
				}
			}
		}()
	}
	group.Wait()
	select {
	case err := <-failures:
		return 0, err
	default:
		return float64(count) / time.Since(start).Seconds(), nil
	}
}

func say(value any) {
	text, _ := json.Marshal(value)
	fmt.Println(string(text))
}
