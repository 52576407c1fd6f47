import Encoding
import HTTP
import Sandbox
import Testing

@Suite struct RunServiceTests {
    @Test func `a service is ready when its revision is and its operation ends with it`() async throws {
        let fixture = APIFixture()
        let create = try await fixture.createService("web", APIFixture.service("image:1", ["labels": ["a": "b"]]))
        #expect(create.status == 200)
        #expect(create.json["done"] == nil)

        let pending = try await fixture.service()
        #expect(pending["reconciling"] == true)
        #expect(pending["generation"] == "1")
        #expect(pending["observedGeneration"] == nil)
        #expect(pending["latestReadyRevision"] == nil)
        #expect(pending.value(at: ["terminalCondition", "state"]) == "CONDITION_RECONCILING")

        fixture.clock.advance(by: .seconds(3))
        let ready = try await fixture.service()
        #expect(ready["reconciling"] == nil)
        #expect(ready["observedGeneration"] == "1")
        #expect(ready["labels"] == ["a": "b"])
        #expect(ready["latestReadyRevision"] == ready["latestCreatedRevision"])
        #expect(ready["uri"]?.stringValue?.hasSuffix("-uc.a.run.app") == true)
        #expect(ready["etag"] != pending["etag"])
        #expect(
            ready["terminalCondition"]
                == [
                    "type": "Ready", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": "2026-11-21T10:00:00Z",
                ])
        #expect(
            ready["trafficStatuses"]
                == [
                    [
                        "type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100,
                        "revision": .string(try #require(ready["latestReadyRevision"]?.lastSegment)),
                    ]
                ])
        let operation = try await fixture.operation("run.googleapis.com", create)
        #expect(operation["done"] == true)
        #expect(operation.value(at: ["response", "name"]) == "projects/p1/locations/us-central1/services/web")
    }

    @Test(
        arguments: [
            ("missing", "CONTAINER_MISSING", nil, "Image 'missing' not found."),
            ("secret", "CONTAINER_IMAGE_UNAUTHORIZED", nil, "must have permission to read the image, secret."),
            ("crash", "REVISION_FAILED", "HEALTH_CHECK_CONTAINER_ERROR", "failed to start and listen on the port"),
        ] as [(String, String, String?, String)])
    func `a revision that fails leaves the service there and the old revision serving`(
        image: String, reason: String, revisionReason: String?, text: String
    ) async throws {
        let fixture = APIFixture {
            $0.missingImages = ["missing"]
            $0.unauthorizedImages = ["secret"]
            $0.crashingImages = ["crash"]
        }
        let old = try await fixture.readyService()["latestReadyRevision"]
        let patch = try await fixture.call(
            .patch, "\(APIFixture.services)/web?updateMask=template", APIFixture.service(image))
        fixture.clock.advance(by: .seconds(5))
        let service = try await fixture.service()
        #expect(service["latestReadyRevision"] == old)
        #expect(service["latestCreatedRevision"] != old)
        #expect(service["generation"] == "2")
        #expect(service["observedGeneration"] == "2")
        #expect(service["trafficStatuses"]?[0]?["revision"]?.stringValue == old?.lastSegment)
        let condition = try #require(service["terminalCondition"])
        #expect(condition["state"] == "CONDITION_FAILED")
        #expect(condition["reason"]?.stringValue == reason)
        #expect(condition["revisionReason"]?.stringValue == revisionReason)
        #expect(condition["message"]?.stringValue?.contains(text) == true)
        #expect(service["conditions"]?[0]?["state"] == "CONDITION_SUCCEEDED")
        let operation = try await fixture.operation("run.googleapis.com", patch)
        #expect(operation.value(at: ["error", "code"]) == 9)
        #expect(operation.value(at: ["error", "message"]) == condition["message"])
    }

    @Test func `a first revision that fails leaves no route`() async throws {
        let fixture = APIFixture { $0.crashingImages = ["image:1"] }
        _ = try await fixture.createService()
        fixture.clock.advance(by: .seconds(5))
        let service = try await fixture.service()
        #expect(service["trafficStatuses"] == nil)
        #expect(service["latestReadyRevision"] == nil)
        #expect(service["conditions"]?[0]?["state"] == "CONDITION_FAILED")
        let uri = try #require(service["uri"]?.stringValue)
        #expect(try await fixture.send(.get, uri, headers: fixture.identity(for: uri)).status == 503)
    }

    @Test func `weight for a revision that failed changes no route and is noted`() async throws {
        let fixture = APIFixture { $0.crashingImages = ["crash"] }
        let old = try #require(try await fixture.readyService()["latestReadyRevision"]?.lastSegment)
        _ = try await fixture.call(
            .patch, "\(APIFixture.services)/web?updateMask=template", APIFixture.service("crash"))
        fixture.clock.advance(by: .seconds(5))
        let new = try #require(try await fixture.service()["latestCreatedRevision"]?.lastSegment)
        #expect(fixture.cloud.runTrafficViolations.isEmpty)
        let target = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
        let patch = try await fixture.call(
            .patch, "\(APIFixture.services)/web?updateMask=traffic",
            ["traffic": [["type": .string(target), "revision": .string(new), "percent": 100]]])
        #expect(patch.status == 200)
        fixture.clock.advance(by: .seconds(1))
        let service = try await fixture.service()
        #expect(service["trafficStatuses"]?.arrayValue?.compactMap { $0["revision"]?.stringValue } == [old])
        let message = "Revision '\(new)' is not ready and cannot serve traffic."
        #expect(service["conditions"]?[0]?["state"] == "CONDITION_FAILED")
        #expect(service["conditions"]?[0]?["message"]?.stringValue == message)
        let operation = try await fixture.operation("run.googleapis.com", patch)
        #expect(operation.value(at: ["error", "code"]) == 9)
        #expect(fixture.cloud.runTrafficViolations == ["web: 100 percent for \(new), which is not ready"])
    }

    @Test func `traffic alone makes no revision and goes where its percents and tags say`() async throws {
        let fixture = APIFixture()
        let first = try #require(try await fixture.readyService()["latestReadyRevision"]?.lastSegment)
        _ = try await fixture.call(
            .patch, "\(APIFixture.services)/web?updateMask=template,traffic",
            APIFixture.service(
                "image:2",
                [
                    "traffic": [
                        ["type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": .string(first), "percent": 90],
                        ["type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 10, "tag": "canary"],
                    ]
                ]))
        fixture.clock.advance(by: .seconds(3))
        let second = try #require(try await fixture.service()["latestReadyRevision"]?.lastSegment)
        _ = try await fixture.call(
            .post, "\(APIFixture.services)/web:setIamPolicy",
            ["policy": ["bindings": [["role": "roles/run.invoker", "members": ["allUsers"]]]]])
        fixture.clock.advance(by: .seconds(5))
        fixture.cloud.serveRun("web") { request, revision in
            HTTPReply(status: 200, body: Array("\(request.url.path) \(revision)".utf8))
        }

        let service = try await fixture.service()
        let uri = try #require(service["uri"]?.stringValue)
        for _ in 0..<100 { #expect(try await fixture.send(.get, "\(uri)/predict").status == 200) }
        #expect(fixture.cloud.runRequestCount(revision: first) == 90)
        #expect(fixture.cloud.runRequestCount(revision: second) == 10)

        let tagged = try #require(service["trafficStatuses"]?[1]?["uri"]?.stringValue)
        #expect(tagged == uri.replacing("https://", with: "https://canary---"))
        let reply = try await fixture.send(.get, "\(tagged)/x")
        #expect(String(decoding: reply.body, as: UTF8.self) == "/x \(second)")

        let generation = service["generation"]
        _ = try await fixture.call(
            .patch, "\(APIFixture.services)/web?updateMask=traffic",
            ["traffic": [["type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100]]])
        fixture.clock.advance(by: .seconds(1))
        let moved = try await fixture.service()
        #expect(moved["latestCreatedRevision"] == service["latestCreatedRevision"])
        #expect(moved["generation"] != generation)
        #expect(moved["trafficStatuses"]?.arrayValue?.count == 1)
    }

    @Test func `a private service answers 403 without a token and nothing is served without an origin`() async throws {
        let fixture = APIFixture()
        let uri = try #require(try await fixture.readyService()["uri"]?.stringValue)
        #expect(try await fixture.send(.get, uri).status == 403)
        #expect(try await fixture.send(.get, uri, headers: ["Authorization": "Bearer t"]).status == 401)
        #expect(try await fixture.send(.get, uri, headers: fixture.identity(for: uri)).status == 503)
        #expect(try await fixture.send(.get, "https://other-1-uc.a.run.app/").status == 404)
    }

    @Test func `a stale etag and a second create are conflicts`() async throws {
        let fixture = APIFixture()
        let stale = try #require(
            try await fixture.call(.post, "\(APIFixture.services)?serviceId=web", APIFixture.service()).json.value(at: [
                "metadata", "etag",
            ]))
        fixture.clock.advance(by: .seconds(3))
        let now = try #require(try await fixture.service()["etag"]?.stringValue)
        var body = APIFixture.service("image:2")
        body["etag"] = stale
        let patch = try await fixture.call(.patch, "\(APIFixture.services)/web", body)
        #expect(patch.status == 409)
        #expect(patch.reason == "ABORTED")
        #expect(patch.message.contains(now))
        body["etag"] = .string(now)
        #expect(try await fixture.call(.patch, "\(APIFixture.services)/web", body).status == 200)
        let again = try await fixture.createService()
        #expect(again.status == 409)
        #expect(again.reason == "ALREADY_EXISTS")
        let delete = try await fixture.call(
            .delete, "\(APIFixture.services)/web?etag=\(HTTPURL.encoded(now))")
        #expect(delete.reason == "ABORTED")
    }

    @Test func `validating keeps nothing and shows the defaults`() async throws {
        let fixture = APIFixture()
        let reply = try await fixture.call(
            .post, "\(APIFixture.services)?serviceId=web&validateOnly=true", APIFixture.service())
        let template = try #require(reply.json.value(at: ["response", "template"]))
        #expect(template["timeout"] == "300s")
        #expect(template["maxInstanceRequestConcurrency"] == 80)
        #expect(template["containers"]?[0]?.value(at: ["resources", "limits"]) == ["cpu": "1000m", "memory": "512Mi"])
        #expect(try await fixture.call(.get, "\(APIFixture.services)/web").status == 404)
        let list = try await fixture.call(.get, APIFixture.services)
        #expect(list.json == [:])
    }

    @Test func `patching a missing service makes it only where that is allowed`() async throws {
        let fixture = APIFixture(isWrong: true)
        let url = "\(APIFixture.services)/web"
        #expect(try await fixture.call(.patch, url, APIFixture.service()).status == 404)
        #expect(try await fixture.call(.patch, "\(url)?allowMissing=true", APIFixture.service()).status == 200)
        fixture.clock.advance(by: .seconds(3))
        let service = try await fixture.service()
        // What the server gives out may come back: the steady state writes nothing new.
        _ = try await fixture.call(.patch, url, service)
        fixture.clock.advance(by: .seconds(3))
        #expect(try await fixture.service()["latestCreatedRevision"] == service["latestCreatedRevision"])
        _ = try await fixture.call(.patch, "\(url)?forceNewRevision=true", service.without("etag"))
        fixture.clock.advance(by: .seconds(3))
        #expect(try await fixture.service()["latestCreatedRevision"] != service["latestCreatedRevision"])
    }

    @Test func `a revision with traffic stays and an idle one can be deleted`() async throws {
        let fixture = APIFixture()
        let first = try #require(try await fixture.readyService()["latestReadyRevision"]?.lastSegment)
        let serving = try await fixture.call(.delete, "\(APIFixture.services)/web/revisions/\(first)")
        #expect(serving.reason == "FAILED_PRECONDITION")
        _ = try await fixture.call(.patch, "\(APIFixture.services)/web", APIFixture.service("image:2"))
        fixture.clock.advance(by: .seconds(3))
        let list = try await fixture.call(.get, "\(APIFixture.services)/web/revisions")
        #expect(list.json["revisions"]?.arrayValue?.count == 2)
        #expect(list.json["revisions"]?[1]?["conditions"]?[0]?["state"] == "CONDITION_SUCCEEDED")
        let delete = try await fixture.call(.delete, "\(APIFixture.services)/web/revisions/\(first)")
        #expect(delete.json["done"] == true)
        #expect(try await fixture.call(.get, "\(APIFixture.services)/web/revisions/\(first)").status == 404)
    }

    @Test func `a deleted service shows its end until it is gone and its name is free again`() async throws {
        let fixture = APIFixture()
        _ = try await fixture.readyService("web", APIFixture.service("i", ["scaling": ["minInstanceCount": 1]]))
        #expect(
            fixture.cloud.computeResources() == [
                "//run.googleapis.com/projects/p1/locations/us-central1/services/web"
            ])
        let delete = try await fixture.call(.delete, "\(APIFixture.services)/web")
        #expect(try await fixture.service()["deleteTime"] != nil)
        #expect(try await fixture.call(.get, APIFixture.services).json == [:])
        fixture.clock.advance(by: .seconds(1))
        #expect(try await fixture.operation("run.googleapis.com", delete)["done"] == true)
        #expect(try await fixture.call(.get, "\(APIFixture.services)/web").status == 404)
        #expect(fixture.cloud.computeResources().isEmpty)
        #expect(try await fixture.createService().status == 200)
    }

    @Test func `policies are written whole and a stale etag is a conflict`() async throws {
        let fixture = APIFixture()
        _ = try await fixture.createService()
        let url = "\(APIFixture.services)/web"
        let before = try await fixture.call(.get, "\(url):getIamPolicy").json
        let bindings: JSONValue = [["role": "roles/run.invoker", "members": ["user:a@b.c"]]]
        let set = try await fixture.call(
            .post, "\(url):setIamPolicy", ["policy": ["bindings": bindings, "etag": before["etag"] ?? ""]])
        #expect(set.json["bindings"] == bindings)
        let stale = try await fixture.call(
            .post, "\(url):setIamPolicy", ["policy": ["bindings": [], "etag": before["etag"] ?? ""]])
        #expect(stale.status == 409)
        #expect(stale.reason == "ABORTED")
        #expect(stale.message.contains("concurrent policy changes"))
        for wrong: JSONValue in [
            ["role": "invoker", "members": ["allUsers"]], ["role": "roles/x", "members": ["somebody"]],
            ["role": "roles/x", "members": ["user:a@b.c"], "condition": ["expression": "true"]],
        ] {
            let reply = try await fixture.call(.post, "\(url):setIamPolicy", ["policy": ["bindings": [wrong]]])
            #expect(reply.reason == "INVALID_ARGUMENT")
        }
        #expect(try await fixture.call(.get, "\(url):getIamPolicy").json == set.json)
    }

    @Test func `lists come in pages and a token of nobody is refused`() async throws {
        let fixture = APIFixture()
        for id in ["a", "b", "c"] { _ = try await fixture.createService(id) }
        let first = try await fixture.call(.get, "\(APIFixture.services)?pageSize=2").json
        #expect(first["services"]?.arrayValue?.compactMap { $0["name"]?.lastSegment } == ["a", "b"])
        let token = try #require(first["nextPageToken"]?.stringValue)
        let second = try await fixture.call(.get, "\(APIFixture.services)?pageSize=2&pageToken=\(token)").json
        #expect(second["services"]?.arrayValue?.compactMap { $0["name"]?.lastSegment } == ["c"])
        #expect(second["nextPageToken"] == nil)
        #expect(try await fixture.call(.get, "\(APIFixture.services)?pageToken=x").reason == "INVALID_ARGUMENT")
    }
}

extension JSONValue {
    func without(_ key: String) -> JSONValue {
        var value = self
        value[key] = nil
        return value
    }
}
