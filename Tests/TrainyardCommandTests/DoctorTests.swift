import Encoding
import HTTP
import Kubernetes
import Operator
import Sandbox
import Telemetry
import Testing

@testable import TrainyardCommand

@Suite(.timeLimit(.minutes(2))) struct `What is wrong with an installation` {
    private static let now = Timestamp("2026-11-22T10:00:00Z") ?? Timestamp(seconds: 0)
    private static let leaseType = ResourceType(
        group: "coordination.k8s.io", version: "v1", kind: "Lease", plural: "leases")

    private struct World {
        var admin: KubernetesClient
        var user: KubernetesClient

        init(crds: [JSONValue], rules: [JSONValue]? = nil) throws {
            let cluster = try SimulatedCluster(
                ClusterConfiguration(
                    crds: crds,
                    users: [
                        "admin": SimulatedUser(name: "admin", groups: ["system:masters"]),
                        "user": rules.map { SimulatedUser(name: "user", rules: $0) }
                            ?? SimulatedUser(name: "user", groups: ["system:masters"]),
                    ], clock: SystemClock()))
            func client(_ token: String) -> KubernetesClient {
                KubernetesClient(
                    transport: HandlerTransport(cluster), server: HTTPURL(origin: "http://127.0.0.1:1", path: "/"),
                    credentials: { () throws(APIError) in token })
            }
            (admin, user) = (client("admin"), client("user"))
        }

        func doctor(definitions: [JSONValue]) -> Doctor {
            Doctor(
                access: ClusterAccess(kubernetes: user, namespace: "default", origin: "http://127.0.0.1:1"),
                definitions: definitions, now: now)
        }

        func lead(renewed: String) async throws {
            try await admin.create(
                leaseType,
                [
                    "metadata": ["name": "trainyard-operator", "namespace": "default"],
                    "spec": ["holderIdentity": "pod-a", "renewTime": .string(renewed), "leaseDurationSeconds": 15],
                ])
        }
    }

    @Test func `a good one is told in a line each`() async throws {
        let crds = try EmbeddedFiles.crds()
        let world = try World(crds: crds)
        try await world.lead(renewed: "2026-11-22T09:59:58.000000Z")
        let findings = await world.doctor(definitions: crds).findings()
        #expect(
            DoctorCommand.text(findings) == """
                [ok]   cluster: http://127.0.0.1:1
                [ok]   definition of TrainingJob: has all fields that this program knows
                [ok]   definition of GCSArtifact: has all fields that this program knows
                [ok]   definition of ModelEndpoint: has all fields that this program knows
                [ok]   your rights on trainingjobs in default: read and write
                [ok]   your rights on gcsartifacts in default: read and write
                [ok]   your rights on modelendpoints in default: read and write
                [?]    operator: this cluster does not serve them
                [ok]   leader: pod-a in default, renewed 2 s ago
                [ok]   trainingjobs: 0, none waits for somebody to act
                [ok]   gcsartifacts: 0, none waits for somebody to act
                [ok]   modelendpoints: 0, none waits for somebody to act
                """)
    }

    @Test func `what is missing, old, stopped or stuck is named`() async throws {
        var crds = try EmbeddedFiles.crds()
        let definitions = crds
        crds.removeLast()
        let path = ["schema", "openAPIV3Schema", "properties", "spec", "properties", "rerunToken"]
        var version = try #require(crds[0].value(at: ["spec", "versions"])?[0])
        version.set(nil, at: path)
        version.set([], at: ["schema", "openAPIV3Schema", "properties", "spec", "x-kubernetes-validations"])
        crds[0].set([version], at: ["spec", "versions"])
        let world = try World(crds: crds)
        try await world.lead(renewed: "2026-11-22T09:50:00.000000Z")
        try await world.admin.create(
            TrainingJob.resourceType,
            [
                "metadata": ["name": "j", "namespace": "default"],
                "spec": ["accelerator": ["gpu": ["type": "nvidia-l4"]]],
            ])
        try await world.admin.mergePatch(
            ObjectReference(type: TrainingJob.resourceType, namespace: "default", name: "j"),
            [
                "status": [
                    "observedGeneration": 1,
                    "conditions": [
                        [
                            "type": "Stalled", "status": "True", "reason": "QuotaExceeded", "message": "m",
                            "lastTransitionTime": "2026-11-22T00:00:00Z",
                        ]
                    ],
                ]
            ], subresource: "status")
        let text = DoctorCommand.text(await world.doctor(definitions: definitions).findings())
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("[ok]") }
        #expect(
            lines.map(String.init) == [
                "[look] definition of TrainingJob: older than this program: lacks spec.rerunToken",
                "[BAD]  definition of ModelEndpoint: not there: install the chart, or kubectl apply -f crds/",
                "[?]    operator: this cluster does not serve them",
                "[BAD]  leader: nobody holds the lease, not renewed for 10 min",
                "[look] trainingjobs: QuotaExceeded: default/j. Ask for more quota in the Google Cloud console, or add a "
                    + "candidate elsewhere.",
                "[?]    modelendpoints: this cluster does not serve them",
            ])
    }

    @Test func `whoever may only read is told so, and what may not be seen is not guessed`() async throws {
        let crds = try EmbeddedFiles.crds()
        let world = try World(
            crds: crds,
            rules: [
                [
                    "apiGroups": ["trainyard.dev"], "resources": ["trainingjobs", "gcsartifacts"],
                    "verbs": ["get", "list", "watch"],
                ]
            ])
        let text = DoctorCommand.text(await world.doctor(definitions: crds).findings())
        #expect(text.contains("[?]    definition of TrainingJob: you may not look: "))
        #expect(
            text.contains(
                "[look] your rights on trainingjobs in default: you may not create, patch, delete (ClusterRole "
                    + "trainyard-editor, or -viewer to look)"))
        #expect(text.contains("[BAD]  your rights on modelendpoints in default: you may not get, list, create"))
        #expect(text.contains("[?]    leader: you may not look: "))
    }

    @Test func `a cluster that refuses or does not answer is the only finding`() async throws {
        let crds = try EmbeddedFiles.crds()
        let world = try World(crds: crds)
        let stranger = KubernetesClient(
            transport: try CurlTransport(), server: HTTPURL(origin: "http://127.0.0.1:1", path: "/"),
            credentials: { () throws(APIError) in "x" })
        var doctor = world.doctor(definitions: crds)
        doctor = Doctor(
            access: ClusterAccess(kubernetes: stranger, namespace: "default", origin: "http://127.0.0.1:1"),
            definitions: doctor.definitions, now: doctor.now)
        let findings = await doctor.findings()
        #expect(findings.map(\.verdict) == [.bad])
        #expect(findings.first?.detail.hasPrefix("http://127.0.0.1:1: ") == true)
    }

    @Test func `logs are those of the current run's pods, or say that there is none`() async throws {
        let world = try World(crds: try EmbeddedFiles.crds())
        let access = ClusterAccess(kubernetes: world.user, namespace: "default", origin: "o")
        try await world.admin.create(
            TrainingJob.resourceType,
            [
                "metadata": ["name": "j", "namespace": "default"],
                "spec": ["accelerator": ["gpu": ["type": "nvidia-l4"]]],
            ])
        #expect(try await LogsCommand.lines(LogsOptions(name: "j"), access) == ["there is no pod of the current run"])
        let error = await #expect(throws: RunError.self) {
            try await LogsCommand.lines(LogsOptions(name: "other"), access)
        }
        #expect(error?.code == .missingInput)
    }
}

@Suite struct `Completions of a shell` {
    @Test(arguments: Completions.words.map(\.path)) func `complete what the command line knows`(path: String) throws {
        let words = try #require(Completions.words.first { $0.path == path }).words
        #expect(!words.isEmpty)
        // Not "there is no option": it is known, and lacks its value or something else.
        for word in words where word.hasPrefix("--") && word != "--help" {
            let said = Self.refusal(path.split(separator: " ").map(String.init) + [word]) ?? ""
            #expect(!said.contains("there is no"), "\(path) \(word): \(said)")
        }
    }

    private static func refusal(_ arguments: [String]) -> String? {
        do throws(UsageError) {
            _ = try Invocation(arguments: arguments)
            return nil
        } catch {
            return error.message
        }
    }

    @Test func `every command and every help text is among them`() {
        let first = Completions.words.first?.words ?? []
        for topic in HelpTopic.allCases where topic != .overview {
            let word = String(topic.rawValue.prefix { $0 != " " })
            #expect(first.contains(word), "\(word)")
            #expect(HelpText.text(topic).contains("usage: trainyard"))
        }
        for word in first where !["version", "help"].contains(word) {
            #expect(HelpText.text(.overview).contains("  \(word) "), "\(word) is not in the overview")
        }
    }
}
