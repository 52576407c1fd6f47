import Encoding
import HTTP
import Sandbox
import Testing

@Suite struct RunRefusalTests {
    private static func gpu(
        _ accelerator: String? = "nvidia-l4", cpu: String = "8", memory: String = "32Gi", count: String = "1",
        idle: Bool = false, maximum: Int64 = 3, extra: JSONValue = [:]
    ) -> JSONValue {
        var template: JSONValue = [
            "gpuZonalRedundancyDisabled": true, "scaling": ["maxInstanceCount": .integer(maximum)],
            "containers": [
                [
                    "image": "i",
                    "resources": [
                        "limits": [
                            "cpu": .string(cpu), "memory": .string(memory), "nvidia.com/gpu": .string(count),
                        ],
                        "cpuIdle": .bool(idle),
                    ],
                ]
            ],
        ]
        if let accelerator { template["nodeSelector"] = ["accelerator": .string(accelerator)] }
        for (key, value) in extra.objectValue ?? [:] { template[key] = value }
        return ["template": template]
    }

    private static func container(_ more: JSONValue) -> JSONValue {
        var container: JSONValue = ["image": "i"]
        for (key, value) in more.objectValue ?? [:] { container[key] = value }
        return ["template": ["containers": [container]]]
    }

    private static func traffic(_ targets: JSONValue) -> JSONValue {
        ["template": ["containers": [["image": "i"]]], "traffic": targets]
    }

    private static let latest = JSONValue.string("TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST")

    @Test func `a service with a GPU within the quota is taken`() async throws {
        #expect(try await APIFixture().createService("web", Self.gpu()).status == 200)
        let large = Self.gpu("nvidia-rtx-pro-6000", cpu: "20", memory: "80Gi", maximum: 1)
        #expect(try await APIFixture().createService("web", large).status == 200)
    }

    @Test(
        arguments: [
            ("no containers", ["template": [:]], "at least one container"),
            ("no image", ["template": ["containers": [[:]]]], "required field"),
            ("another limit", container(["resources": ["limits": ["disk": "1"]]]), "Unsupported resource limit"),
            ("five CPUs", container(["resources": ["limits": ["cpu": "5"]]]), "CPU must be"),
            ("a quantity", container(["resources": ["limits": ["memory": "much"]]]), "Invalid quantity"),
            ("two probes", container(["startupProbe": ["httpGet": [:], "tcpSocket": [:]]]), "Exactly one of"),
            (
                "a slow probe", container(["startupProbe": ["tcpSocket": [:], "periodSeconds": 241]]),
                "between 1 and 240"
            ),
            ("a variable twice", container(["env": [["name": "A"], ["name": "A"]]]), "unique names"),
            ("an unknown volume", container(["volumeMounts": [["name": "v", "mountPath": "/v"]]]), "not declared"),
            (
                "a long timeout", ["template": ["timeout": "3601s", "containers": [["image": "i"]]]],
                "at most 3600s"
            ),
            (
                "a foreign revision", ["template": ["revision": "other-1", "containers": [["image": "i"]]]],
                "prefixed by the name"
            ),
            (
                "min over max",
                [
                    "template": [
                        "scaling": ["minInstanceCount": 2, "maxInstanceCount": 1], "containers": [["image": "i"]],
                    ]
                ],
                "less than or equal"
            ),
            ("a GPU without a kind", gpu(nil), "node selector"),
            ("an unknown GPU", gpu("nvidia-t4"), "node selector"),
            ("two GPUs", gpu(count: "2"), "only one GPU"),
            ("a GPU with two CPUs", gpu(cpu: "2"), "Total CPU < 4 is not supported with gpu."),
            ("a GPU with little memory", gpu(memory: "8Gi"), "Total memory < 16Gi is not supported with gpu."),
            ("a large GPU with 8 CPUs", gpu("nvidia-rtx-pro-6000", maximum: 1), "Total CPU < 20"),
            ("a GPU with idle CPUs", gpu(idle: true), "always allocated"),
            (
                "a GPU over the quota", gpu(maximum: 4),
                "NvidiaL4GpuAllocNoZonalRedundancyPerProjectRegion requested: 4 allowed: 3"
            ),
            ("a GPU of generation 1", gpu(extra: ["executionEnvironment": "EXECUTION_ENVIRONMENT_GEN1"]), "second gen"),
            ("99 percent", traffic([["type": latest, "percent": 99]]), "add up to 99"),
            (
                "101 percent", traffic([["type": latest, "percent": 100], ["type": latest, "percent": 1]]),
                "add up to 101"
            ),
            ("negative", traffic([["type": latest, "percent": -1]]), "between 0 and 100"),
            (
                "an unnamed revision", traffic([["type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "percent": 100]]),
                "A revision must be set"
            ),
            ("latest with a name", traffic([["type": latest, "revision": "web-1", "percent": 100]]), "may not be set"),
            (
                "an unknown revision",
                traffic([
                    ["type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "web-1", "percent": 100]
                ]), "Revision named 'web-1' not found."
            ),
            (
                "a tag twice",
                traffic([["type": latest, "percent": 100, "tag": "a"], ["type": latest, "tag": "a"]]), "unique"
            ),
            ("nothing at all", traffic([["type": latest, "percent": 100], ["type": latest]]), "a percent or a tag"),
        ] as [(String, JSONValue, String)])
    func `a wrong service is refused and leaves nothing`(name: String, body: JSONValue, text: String) async throws {
        let fixture = APIFixture(isWrong: true)
        let reply = try await fixture.createService("web", body)
        #expect(reply.status == 400)
        #expect(reply.reason == "INVALID_ARGUMENT")
        #expect(reply.message.contains(text), "\(name): \(reply.message)")
        #expect(try await fixture.call(.get, "\(APIFixture.services)/web").status == 404)
    }

    @Test(arguments: ["", "Web", "-web", "web-", String(repeating: "a", count: 50)])
    func `a wrong name is refused`(name: String) async throws {
        let reply = try await APIFixture(isWrong: true).createService(name)
        #expect(reply.status == 400)
        #expect(reply.field == "service_id")
    }

    @Test func `a GPU is refused where there is none and where the project has no quota`() async throws {
        let fixture = APIFixture { $0.runGPUQuota = [:] }
        let other = "https://run.googleapis.com/v2/projects/p1/locations/us-west1/services?serviceId=web"
        #expect(try await fixture.call(.post, other, Self.gpu()).message == "nvidia-l4 is not available in us-west1.")
        #expect(try await fixture.createService("web", Self.gpu()).message.hasSuffix("requested: 3 allowed: 0"))
        for location in ["-", "global", "us-central1-a"] {
            let url = "https://run.googleapis.com/v2/projects/p1/locations/\(location)/services"
            #expect(try await fixture.call(.get, url).field == "parent")
        }
    }

    @Test func `a mask of an unknown field and a name of another service are refused`() async throws {
        let fixture = APIFixture(isWrong: true)
        _ = try await fixture.readyService()
        let url = "\(APIFixture.services)/web"
        #expect(try await fixture.call(.patch, "\(url)?updateMask=uid", ["uid": "x"]).field == "update_mask")
        #expect(try await fixture.call(.patch, url, ["name": "other"]).field == "service.name")
        #expect(try await fixture.call(.patch, url, .string("x")).reason == "INVALID_ARGUMENT")
        #expect(try await fixture.call(.get, "\(url):unknown").status == 404)
        #expect(try await fixture.call(.delete, APIFixture.services).status == 404)
    }
}
