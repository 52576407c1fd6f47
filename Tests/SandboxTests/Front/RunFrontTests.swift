import Encoding
import HTTP
import Sandbox
import Testing

/// Cloud Run services as processes behind addresses of loopback.
@Suite struct RunFrontTests {
    @Test func `a service is served at its address by a process that knows who it is`() async throws {
        try await FrontFixture.with { fixture in
            let environment: JSONValue = [["name": "GREETING", "value": "hello $(K_SERVICE)"]]
            fixture.front.setEnvironment(["STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"])
            let service = try await fixture.deploy(FrontFixture.body(container: ["env": environment]))
            let uri = try #require(service["uri"]?.stringValue)
            let revision = try #require(service["latestReadyRevision"]?.lastSegment)
            #expect(uri.hasPrefix("http://127.0.0.1:"))
            #expect(service["urls"] == [.string(uri)])
            #expect(try await fixture.get("\(uri)/any/path?q=1") == .init(status: 200, text: revision))
            #expect(try await fixture.get("\(uri)/env?name=GREETING").text == "hello web")
            #expect(try await fixture.get("\(uri)/env?name=STORAGE_EMULATOR_HOST").text == "http://127.0.0.1:1")
            #expect(try await fixture.get("\(uri)/header?name=X-Forwarded-Proto").text == "https")
            let token = fixture.cloud.issueIdentityToken(to: "user@x.org", audience: uri)
            let seen = try await fixture.get("\(uri)/header?name=Authorization", token: token).text
            #expect(seen.hasPrefix("Bearer ey"))
            #expect(seen.hasSuffix(".SIGNATURE_REMOVED_BY_GOOGLE"))
            let instance = try #require(fixture.front.instances().first)
            #expect(try await fixture.get("\(uri)/env?name=PORT").text == "\(instance.port)")
            #expect(fixture.front.instances().map(\.revision) == [revision])
        }
    }

    @Test func `requests are split exactly as the weights say and a tag has its own address`() async throws {
        try await FrontFixture.with { fixture in
            let first = try #require(try await fixture.deploy()["latestReadyRevision"]?.lastSegment)
            try await fixture.deploy(FrontFixture.weights([(first, 100)]), mask: "traffic")
            let two = try await fixture.deploy(FrontFixture.body("stand-in:2"), mask: "template")
            let second = try #require(two["latestReadyRevision"]?.lastSegment)
            let service = try await fixture.deploy(
                FrontFixture.weights([(first, 90), (second, 10)], tag: ("next", second)), mask: "traffic")
            let uri = try #require(service["uri"]?.stringValue)
            #expect(try await fixture.tally(uri, 100) == [first: 90, second: 10])
            #expect(fixture.cloud.runRequestCount(revision: second) == 10)

            let tag = try #require(service["trafficStatuses"]?[2])
            #expect(tag["tag"] == "next")
            let tagged = try #require(tag["uri"]?.stringValue)
            #expect(tagged != uri)
            #expect(try await fixture.tally(tagged, 5) == [second: 5])

            try await fixture.deploy(FrontFixture.weights([(first, 33), (second, 67)]), mask: "traffic")
            #expect(try await fixture.tally(uri, 200) == [first: 66, second: 134])
            // The tag is gone, and its address with it.
            _ = try await fixture.until("the end of the tag's address") {
                (try? await fixture.get(tagged)) == nil ? true : nil
            }
            #expect(fixture.cloud.runTrafficViolations.isEmpty)
        }
    }

    @Test func `an idle service has no instance and the next request waits for a new one`() async throws {
        try await FrontFixture.with { fixture in
            let service = try await fixture.deploy(FrontFixture.body("late:1"))
            let uri = try #require(service["uri"]?.stringValue)
            let revision = try #require(service["latestReadyRevision"]?.lastSegment)
            let first = try #require(fixture.front.instances().first?.processID)
            fixture.clock.advance(by: .seconds(899))
            #expect(try await fixture.get(uri).status == 200)
            fixture.clock.advance(by: .seconds(899))
            #expect(try await fixture.get("\(uri)/slow?ms=1").status == 200)
            #expect(fixture.front.instances().map(\.processID) == [first])
            fixture.clock.advance(by: .seconds(901))
            _ = try await fixture.until("no instance") { fixture.front.instances().isEmpty ? true : nil }
            let begin = ContinuousClock.now
            #expect(try await fixture.get(uri) == .init(status: 200, text: revision))
            #expect(ContinuousClock.now - begin >= .milliseconds(150))
            #expect(fixture.front.instances().map(\.processID) != [first])
            let name = try #require(service["name"]?.stringValue)
            #expect(fixture.front.coldStart(revision: revision, of: name).map { $0 >= .milliseconds(150) } == true)
        }
    }

    @Test func `minimum instances stay and a service that is switched off has none`() async throws {
        try await FrontFixture.with { fixture in
            let minimum: JSONValue = ["minInstanceCount": 2]
            let service = try await fixture.deploy(FrontFixture.body(more: ["scaling": minimum]))
            let uri = try #require(service["uri"]?.stringValue)
            func ready() -> Int { fixture.front.instances().filter(\.isReady).count }
            _ = try await fixture.until("two instances") { ready() == 2 ? true : nil }
            fixture.clock.advance(by: .seconds(3600))
            try await Task.sleep(for: .milliseconds(120))
            #expect(ready() == 2)

            let off: JSONValue = ["scaling": ["scalingMode": "MANUAL", "manualInstanceCount": 0]]
            try await fixture.deploy(off, mask: "scaling")
            _ = try await fixture.until("no instance") { fixture.front.instances().isEmpty ? true : nil }
            #expect(try await fixture.get(uri).status == 503)
            // A revision of a service that is switched off is not checked.
            let other = try await fixture.deploy(FrontFixture.body("exits:1"), mask: "template")
            #expect(other.value(at: ["terminalCondition", "state"]) == "CONDITION_SUCCEEDED")

            try await fixture.deploy(FrontFixture.body(more: ["scaling": [:]]), mask: "scaling,template")
            #expect(try await fixture.get(uri).status == 200)
        }
    }

    @Test func `a private service takes identity tokens for its address from those who may`() async throws {
        try await FrontFixture.with { fixture in
            let service = try await fixture.deploy(FrontFixture.body(more: ["invokerIamDisabled": false]))
            let uri = try #require(service["uri"]?.stringValue)
            func status(_ principal: String, audience: String? = nil) async throws -> Int {
                let token = fixture.cloud.issueIdentityToken(to: principal, audience: audience ?? uri)
                return try await fixture.get(uri, token: token).status
            }
            let friend = "app@p1.iam.gserviceaccount.com"
            #expect(try await fixture.get(uri).status == 403)
            #expect(try await fixture.get(uri, token: "made-up").status == 401)
            #expect(try await fixture.get(uri, token: fixture.cloud.issueToken(to: friend)).status == 401)
            #expect(try await status(friend) == 403)
            let binding: JSONValue = [
                "role": "roles/run.invoker", "members": [.string("serviceAccount:\(friend)")],
            ]
            let policy = "\(FrontFixture.services)/web:setIamPolicy"
            _ = try await fixture.call(.post, policy, ["policy": ["bindings": [binding]]])
            #expect(try await status(friend) == 403)  // Not yet in force.
            fixture.clock.advance(by: .seconds(5))
            #expect(try await status(friend) == 200)
            #expect(try await status(friend, audience: "https://other.run.app") == 401)
            #expect(try await status("user@x.org") == 403)
            #expect(try await status("sandbox@p1.iam.gserviceaccount.com") == 200)
            let everybody: JSONValue = ["role": "roles/run.invoker", "members": ["allUsers"]]
            _ = try await fixture.call(.post, policy, ["policy": ["bindings": [everybody]]])
            fixture.clock.advance(by: .seconds(5))
            #expect(try await fixture.get(uri).status == 200)
        }
    }

    @Test func `a bucket is mounted and what does not exist fails the revision`() async throws {
        try await FrontFixture.with { fixture in
            let made = try await fixture.call(
                .post, "\(CloudFixture.storage)/b?project=p1", ["name": "models", "location": "us-central1"])
            #expect(made.status == 200)
            try fixture.cloud.putObject(bucket: "models", name: "v1/model.bin", bytes: Array("weights".utf8))
            func body(_ bucket: String) -> JSONValue {
                let volume: JSONValue = [
                    "name": "model",
                    "gcs": ["bucket": .string(bucket), "readOnly": true, "mountOptions": ["only-dir=v1"]],
                ]
                return FrontFixture.body(
                    template: ["volumes": [volume]],
                    container: [
                        "volumeMounts": [["name": "model", "mountPath": "/model"]],
                        "env": [["name": "MODEL", "value": "/model/model.bin"]],
                    ])
            }
            let service = try await fixture.deploy(body("models"))
            let uri = try #require(service["uri"]?.stringValue)
            #expect(try await fixture.get("\(uri)/file?variable=MODEL") == .init(status: 200, text: "weights"))
            let failed = try await fixture.deploy(body("nowhere"))
            let message = failed.value(at: ["terminalCondition", "message"])?.stringValue ?? ""
            #expect(message.hasSuffix("mounting the bucket \"nowhere\" failed: it does not exist"), "\(message)")
            #expect(try await fixture.get(uri).status == 200)
        }
    }

    @Test func `requests are counted by revision and class in Cloud Monitoring`() async throws {
        try await FrontFixture.with { fixture in
            let service = try await fixture.deploy()
            let uri = try #require(service["uri"]?.stringValue)
            let revision = try #require(service["latestReadyRevision"]?.lastSegment)
            #expect(try await fixture.tally(uri, 7) == [revision: 7])
            #expect(try await fixture.tally("\(uri)/fail", 3) == ["500": 3])
            fixture.clock.advance(by: .seconds(61))
            func series(_ metric: String) async throws -> [JSONValue] {
                let filter = "metric.type=\"run.googleapis.com/\(metric)\" AND resource.labels.service_name=\"web\""
                let query = [
                    ("filter", filter), ("interval.endTime", fixture.clock.now.description), ("view", "FULL"),
                    ("interval.startTime", (fixture.clock.now + .seconds(-300)).description),
                ].map { "\($0)=\(HTTPURL.encoded($1))" }.joined(separator: "&")
                let url = "https://monitoring.googleapis.com/v3/projects/p1/timeSeries?\(query)"
                return try await fixture.call(.get, url).json["timeSeries"]?.arrayValue ?? []
            }
            let counts = try await fixture.until("the counts") {
                let found = try await series("request_count")
                return found.count == 2 ? found : nil
            }
            #expect(counts.map { $0.value(at: ["resource", "type"]) } == ["cloud_run_revision", "cloud_run_revision"])
            let labels: JSONValue = [
                "project_id": "p1", "location": "us-central1", "service_name": "web", "configuration_name": "web",
                "revision_name": .string(revision),
            ]
            #expect(counts[0].value(at: ["resource", "labels"]) == labels)
            #expect(
                counts.map { $0.value(at: ["metric", "labels"]) } == [
                    ["response_code": "200", "response_code_class": "2xx"],
                    ["response_code": "500", "response_code_class": "5xx"],
                ])
            let values = counts.map { $0["points"]?[0]?.value(at: ["value", "int64Value"]) }
            #expect(values == ["7", "3"])
            let latencies = try await series("request_latencies")
            #expect(latencies[0]["points"]?[0]?.value(at: ["value", "distributionValue", "count"]) == "7")
        }
    }
}
