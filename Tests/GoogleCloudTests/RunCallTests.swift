import Encoding
import GoogleCloud
import HTTP
import Testing

@Suite struct RunCallTests {
    static let location = LocationName(project: "p1", location: "us-central1")
    static let root = "https://run.googleapis.com/v2/projects/p1/locations/us-central1"
    static let service = "\(root)/services/gpu-infer"
    static let operation = "projects/p1/locations/us-central1/operations/3f0c"

    /// A service on a GPU, with everything that we can say.
    static let configuration: RunServiceConfiguration = {
        var container = RunContainer(image: "us-central1-docker.pkg.dev/p1/ml/infer@sha256:0000")
        container.name = "app"
        container.ports = [.init(name: "http1", containerPort: 8080)]
        container.resources = .init(
            limits: ["cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "1"], cpuIdle: false, startupCpuBoost: true)
        container.env = [
            .init(name: "MODEL_PATH", value: "/models/model.pth"),
            .init(name: "HF_TOKEN", secret: "hf", version: "latest"),
        ]
        container.volumeMounts = [.init(name: "models", mountPath: "/models")]
        var startup = RunProbe(tcpSocket: .init(port: 8080))
        startup.initialDelaySeconds = 0
        startup.timeoutSeconds = 5
        startup.periodSeconds = 10
        startup.failureThreshold = 60
        container.startupProbe = startup
        container.livenessProbe = RunProbe(
            httpGet: .init(path: "/health", port: 8080, httpHeaders: [.init(name: "X-Probe", value: "1")]))
        container.readinessProbe = RunProbe(grpc: .init(port: 8080, service: "s"))
        var template = RunRevisionTemplate(containers: [container])
        template.serviceAccount = "run@p1.iam.gserviceaccount.com"
        template.timeout = "300s"
        template.maxInstanceRequestConcurrency = 4
        template.executionEnvironment = "EXECUTION_ENVIRONMENT_GEN2"
        template.nodeSelector = .init(accelerator: "nvidia-l4")
        template.gpuZonalRedundancyDisabled = true
        template.scaling = .init(minInstanceCount: 0, maxInstanceCount: 3)
        template.volumes = [
            RunVolume(
                name: "models",
                gcs: .init(bucket: "p1-ml-artifacts", readOnly: true, mountOptions: ["implicit-dirs"])),
            RunVolume(name: "secret", secret: .init(secret: "hf")),
            RunVolume(name: "scratch", emptyDir: .init(medium: "MEMORY", sizeLimit: "1Gi")),
        ]
        template.vpcAccess = .init(
            egress: "PRIVATE_RANGES_ONLY", networkInterfaces: [.init(network: "default", subnetwork: "default")])
        var configuration = RunServiceConfiguration(
            template: template, traffic: [RunTrafficTarget(type: .latest, percent: 100)])
        configuration.labels = ["managed-by": "ml-operator"]
        configuration.ingress = .known(.all)
        configuration.launchStage = "GA"
        configuration.invokerIamDisabled = false
        configuration.scaling = .init(minInstanceCount: 0, maxInstanceCount: 3, scalingMode: "AUTOMATIC")
        return configuration
    }()

    static let body = """
        {"labels":{"managed-by":"ml-operator"},"ingress":"INGRESS_TRAFFIC_ALL","launchStage":"GA",
        "invokerIamDisabled":false,"scaling":{"minInstanceCount":0,"maxInstanceCount":3,"scalingMode":"AUTOMATIC"},
        "template":{"serviceAccount":"run@p1.iam.gserviceaccount.com","timeout":"300s",
        "maxInstanceRequestConcurrency":4,"executionEnvironment":"EXECUTION_ENVIRONMENT_GEN2",
        "nodeSelector":{"accelerator":"nvidia-l4"},"gpuZonalRedundancyDisabled":true,
        "scaling":{"minInstanceCount":0,"maxInstanceCount":3},
        "containers":[{"name":"app","image":"us-central1-docker.pkg.dev/p1/ml/infer@sha256:0000",
        "ports":[{"name":"http1","containerPort":8080}],
        "resources":{"limits":{"cpu":"8","memory":"32Gi","nvidia.com/gpu":"1"},"cpuIdle":false,"startupCpuBoost":true},
        "env":[{"name":"MODEL_PATH","value":"/models/model.pth"},
        {"name":"HF_TOKEN","valueSource":{"secretKeyRef":{"secret":"hf","version":"latest"}}}],
        "volumeMounts":[{"name":"models","mountPath":"/models"}],
        "startupProbe":{"initialDelaySeconds":0,"timeoutSeconds":5,"periodSeconds":10,"failureThreshold":60,
        "tcpSocket":{"port":8080}},
        "livenessProbe":{"httpGet":{"path":"/health","port":8080,"httpHeaders":[{"name":"X-Probe","value":"1"}]}},
        "readinessProbe":{"grpc":{"port":8080,"service":"s"}}}],
        "volumes":[{"name":"models","gcs":{"bucket":"p1-ml-artifacts","readOnly":true,
        "mountOptions":["implicit-dirs"]}},{"name":"secret","secret":{"secret":"hf"}},
        {"name":"scratch","emptyDir":{"medium":"MEMORY","sizeLimit":"1Gi"}}],
        "vpcAccess":{"egress":"PRIVATE_RANGES_ONLY",
        "networkInterfaces":[{"network":"default","subnetwork":"default"}]}},
        "traffic":[{"type":"TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST","percent":100}]}
        """

    @Test func `a service is made, or only tried`() async throws {
        let body = try JSONValue(parsing: Self.body)
        var made = body
        made["uid"] = "u"
        let operation = try await expectCall(
            "POST \(Self.root)/services?serviceId=gpu-infer&validateOnly=true", body: body,
            reply: [
                "name": .string(Self.operation), "done": true, "metadata": made,
                "response": made,
            ]
        ) { google throws(APIError) in
            try await RunClient(google).createService(
                "gpu-infer", Self.configuration, in: Self.location, validateOnly: true)
        }
        #expect(operation.response?.configuration == Self.configuration)
        #expect(operation.response?.uid == "u")
        _ = try await expectCall(
            "POST \(Self.root)/services?serviceId=gpu-infer", body: ["template": ["containers": [["image": "i"]]]],
            reply: ["name": .string(Self.operation)]
        ) { google throws(APIError) in
            try await RunClient(google).createService(
                "gpu-infer",
                RunServiceConfiguration(template: RunRevisionTemplate(containers: [RunContainer(image: "i")])),
                in: Self.location)
        }
    }

    @Test func `a service tells whether it is ready, and what it was made of`() async throws {
        var reply = try JSONValue(parsing: Self.body)
        let status: JSONValue = [
            "name": "projects/p1/locations/us-central1/services/gpu-infer", "uid": "u", "etag": "\"CPn\"",
            "generation": "3", "observedGeneration": 3, "uri": "https://gpu-infer.run.app", "urls": ["a"],
            "latestReadyRevision": "r/1", "latestCreatedRevision": "r/2", "createTime": "2026-11-21T00:00:00Z",
            "terminalCondition": ["type": "Ready", "state": "CONDITION_SUCCEEDED"],
            "conditions": [
                ["type": "RoutesReady", "state": "CONDITION_WOBBLING", "reason": "NEW", "revisionReason": "RETIRED"]
            ],
            "trafficStatuses": [
                ["type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "x", "tag": "t", "uri": "u"]
            ], "newThing": ["a": 1],
        ]
        for (key, value) in status.objectValue ?? [:] { reply[key] = value }
        let service = try await expectCall("GET \(Self.service)", reply: reply) { google throws(APIError) in
            try await RunClient(google).service("gpu-infer", in: Self.location)
        }
        #expect(service.configuration == Self.configuration)
        #expect(service.isReady)
        #expect([service.generation, service.observedGeneration] == [3, 3])
        #expect(service.etag == "\"CPn\"")
        #expect(service.conditions?.first?.state == .other("CONDITION_WOBBLING"))
        #expect(service.trafficStatuses?.first?.percent == nil)
        var updating = service
        updating.isReconciling = true
        var behind = service
        behind.generation = 4
        var failed = service
        failed.terminalCondition?.state = .known(.failed)
        #expect([updating, behind, failed].map(\.isReady) == [false, false, false])
        let services = try await expectCalls(
            ["GET \(Self.root)/services", "GET \(Self.root)/services?pageToken=t"],
            replies: [
                ["services": [reply], "nextPageToken": "t"],
                ["services": [["name": "s2", "reconciling": true]], "unreachable": ["x"]],
            ]
        ) { google throws(APIError) in try await RunClient(google).services(in: Self.location) }
        #expect(services.items.first == service)
        #expect(services.items.last?.isReconciling == true)
        #expect(services.items.last?.generation == 0)
        #expect(services.unreachable == ["x"])
    }

    @Test func `traffic moves with the etag, and a delete takes only what was read`() async throws {
        let traffic = [
            RunTrafficTarget(type: .revision, revision: "gpu-infer-00001-abc", percent: 90),
            RunTrafficTarget(type: .latest, percent: 10, tag: "canary"),
        ]
        _ = try await expectCall(
            "PATCH \(Self.service)?updateMask=traffic",
            body: [
                "etag": "\"CPn\"",
                "traffic": [
                    [
                        "type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "gpu-infer-00001-abc",
                        "percent": 90,
                    ], ["type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 10, "tag": "canary"],
                ],
            ], reply: ["name": .string(Self.operation)]
        ) { google throws(APIError) in
            try await RunClient(google).patchService(
                "gpu-infer", RunServiceConfiguration(traffic: traffic), etag: "\"CPn\"", updateMask: ["traffic"],
                in: Self.location)
        }
        _ = try await expectCall(
            "PATCH \(Self.service)?updateMask=labels%2Ctemplate&allowMissing=true&validateOnly=true",
            body: JSONValue(parsing: Self.body), reply: ["name": .string(Self.operation)]
        ) { google throws(APIError) in
            try await RunClient(google).patchService(
                "gpu-infer", Self.configuration, etag: nil, updateMask: ["labels", "template"], allowMissing: true,
                validateOnly: true, in: Self.location)
        }
        _ = try await expectCall(
            "DELETE \(Self.service)?etag=%22CPn%22", reply: ["name": .string(Self.operation)]
        ) { google throws(APIError) in
            try await RunClient(google).deleteService("gpu-infer", etag: "\"CPn\"", in: Self.location)
        }
    }

    @Test func `revisions`() async throws {
        let path = "\(Self.service)/revisions"
        let reply: JSONValue = [
            "name": "projects/p1/locations/us-central1/services/gpu-infer/revisions/gpu-infer-00001-abc",
            "service": "gpu-infer", "uid": "u", "etag": "\"e\"", "labels": ["a": "b"],
            "containers": [["image": "i@sha256:0", "name": "app"]], "scaling": ["maxInstanceCount": 3],
            "nodeSelector": ["accelerator": "nvidia-l4"], "logUri": "https://l",
            "conditions": [["type": "Ready", "state": "CONDITION_SUCCEEDED"]],
        ]
        let revision = try await expectCall("GET \(path)/gpu-infer-00001-abc", reply: reply) {
            google throws(APIError) in
            try await RunClient(google).revision("gpu-infer-00001-abc", of: "gpu-infer", in: Self.location)
        }
        #expect(revision.isReady)
        #expect(revision.containers?.map(\.image) == ["i@sha256:0"])
        #expect(revision.nodeSelector?.accelerator == "nvidia-l4")
        let revisions = try await expectCall("GET \(path)", reply: ["revisions": [reply, ["name": "r2"]]]) {
            google throws(APIError) in try await RunClient(google).revisions(of: "gpu-infer", in: Self.location)
        }
        #expect(revisions.items.first == revision)
        #expect(revisions.items.last?.isReady == false)
        let deleted = try await expectCall(
            "DELETE \(path)/gpu-infer-00001-abc?etag=%22e%22",
            reply: ["name": .string(Self.operation), "done": true, "response": reply]
        ) { google throws(APIError) in
            try await RunClient(google).deleteRevision(
                "gpu-infer-00001-abc", of: "gpu-infer", etag: "\"e\"", in: Self.location)
        }
        #expect(deleted.response == revision)
    }

    @Test func `who may call a service`() async throws {
        let reply: JSONValue = [
            "etag": "BwXhqDVJ6ZE=", "version": 3,
            "bindings": [["role": "roles/run.invoker", "members": ["allUsers"]]], "auditConfigs": [],
        ]
        var policy = try await expectCall(
            "GET \(Self.service):getIamPolicy?options.requestedPolicyVersion=3", reply: reply
        ) { google throws(APIError) in
            try await RunClient(google).policy(ofService: "gpu-infer", in: Self.location)
        }
        #expect(
            policy
                == IAMPolicy(
                    bindings: [.init(role: "roles/run.invoker", members: ["allUsers"])], etag: "BwXhqDVJ6ZE="))
        policy.version = nil
        let read = policy
        _ = try await expectCall(
            "POST \(Self.service):setIamPolicy",
            body: [
                "policy": [
                    "etag": "BwXhqDVJ6ZE=", "version": 3,
                    "bindings": [["role": "roles/run.invoker", "members": ["allUsers"]]],
                ]
            ], reply: reply
        ) { google throws(APIError) in
            try await RunClient(google).setPolicy(read, ofService: "gpu-infer", in: Self.location)
        }
        let blind = await failure { () async throws(APIError) in
            try await RunClient(
                GoogleCloudClient(transport: NoTransport(), tokens: NoTokens(), clock: ImpatientClock())
            ).setPolicy(IAMPolicy(), ofService: "gpu-infer", in: Self.location)
        }
        #expect(blind?.code == .invalid)
        #expect(blind?.message == "a policy is set only with the etag of the one that was read")
        let granted = try await expectCall(
            "POST \(Self.service):testIamPermissions", body: ["permissions": ["run.services.get", "b"]],
            reply: ["permissions": ["run.services.get"]]
        ) { google throws(APIError) in
            try await RunClient(google).grantedPermissions(
                ["run.services.get", "b"], onService: "gpu-infer", in: Self.location)
        }
        #expect(granted == ["run.services.get"])
    }

    @Test func `operations, looked at or waited for`() async throws {
        let reply: JSONValue = [
            "name": .string(Self.operation), "done": true,
            "error": ["code": 9, "message": "Revision 'x' is not ready and cannot serve traffic."],
        ]
        let path = "\(Self.root)/operations/3f0c"
        let operation = try await expectCall("GET \(path)", reply: reply) { google throws(APIError) in
            try await RunClient(google).operation(Self.operation)
        }
        #expect(operation.failure?.code == .invalid)
        #expect(operation.failure?.reason == "FAILED_PRECONDITION")
        let waited = try await expectCall("POST \(path):wait", body: ["timeout": "60s"], reply: reply) {
            google throws(APIError) in try await RunClient(google).waitForOperation(Self.operation, seconds: 600)
        }
        #expect(waited == operation)
    }
}
