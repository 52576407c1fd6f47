import Encoding

/// The three objects of a small story.
enum Manifests {
    static func dataset(folder: String) -> JSONValue {
        object(
            "GCSArtifact", "data",
            annotations: ["sandbox.trainyard.dev/seed": .string(folder)],
            spec: [
                "artifactType": "Dataset", "bucket": ["name": "e2e-data", "location": "us-central1"],
                "layout": "Flat",
            ])
    }

    static let runs = object(
        "GCSArtifact", "runs",
        spec: [
            "artifactType": "RunOutput", "bucket": ["name": "e2e-runs", "location": "us-central1"],
            "layout": "ByRun",
        ])

    /// A job that trains one epoch; spot in two zones.
    static func job(
        hyperparameters: [String: String] = [:], required: [String] = ["metrics.json", "model.safetensors"],
        minimumAccuracy: String = "0", zones: [String] = ["us-central1-a", "us-central1-b"]
    ) -> JSONValue {
        let values = ["epochs": "1", "threads": "1"].merging(hyperparameters) { _, new in new }
        let assertion: JSONValue = [
            "file": "metrics.json", "jsonPath": "{.test_accuracy[-1:]}", "operator": "GreaterThanOrEqual",
            "value": .string(minimumAccuracy),
        ]
        return object(
            "TrainingJob", "train",
            spec: [
                "trainer": ["hyperparameters": .object(values.mapValues { .string($0) })],
                "accelerator": ["gpu": ["type": "nvidia-l4", "count": 1]],
                "capacity": [
                    "candidates": [
                        [
                            "name": "spot", "provisioningModel": "Spot",
                            "zones": .array(zones.map { .string($0) }),
                        ]
                    ]
                ],
                "inputs": [["name": "data", "artifactRef": ["name": "data"], "mode": "Stream"]],
                "checkpoint": ["artifactRef": ["name": "runs"]],
                "outputs": [
                    "artifactRef": ["name": "runs"],
                    "required": .array(required.map { ["glob": .string($0)] }),
                    "assertions": [assertion],
                ],
            ])
    }

    private static func object(
        _ kind: String, _ name: String, annotations: JSONValue = [:], spec: JSONValue
    ) -> JSONValue {
        [
            "apiVersion": "trainyard.dev/v1alpha1", "kind": .string(kind),
            "metadata": ["name": .string(name), "namespace": "default", "annotations": annotations],
            "spec": spec,
        ]
    }
}
