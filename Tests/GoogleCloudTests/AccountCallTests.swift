import Encoding
import GoogleCloud
import HTTP
import Testing

/// Acting as accounts, and what they and the project may do: iamcredentials, iam, cloudresourcemanager, serviceusage.
@Suite struct AccountCallTests {
    static let email = "ml@p1.iam.gserviceaccount.com"
    static let segment = "ml%40p1.iam.gserviceaccount.com"
    static let credentials =
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/\(segment)"
    static let account = "https://iam.googleapis.com/v1/projects/p1/serviceAccounts/\(segment)"
    static let project = "https://cloudresourcemanager.googleapis.com/v3/projects/p1"
    static let services = "https://serviceusage.googleapis.com/v1/projects/p1/services"

    @Test func `a signature of another account`() async throws {
        let signature = try await expectCall(
            "POST \(Self.credentials):signBlob", body: ["payload": "R09PRzQtUlNBLVNIQTI1Ng=="],
            reply: ["keyId": "k", "signedBlob": "AQIDBA=="]
        ) { google throws(APIError) in
            try await IAMCredentialsClient(google).signBlob(Array("GOOG4-RSA-SHA256".utf8), as: Self.email)
        }
        _ = try await expectCall(
            "POST \(Self.credentials):signBlob",
            body: [
                "payload": "AQ==", "delegates": ["projects/-/serviceAccounts/via@p1.iam.gserviceaccount.com"],
            ], reply: ["signedBlob": "AQ=="]
        ) { google throws(APIError) in
            try await IAMCredentialsClient(google).signBlob(
                [1], as: Self.email, delegates: ["via@p1.iam.gserviceaccount.com"])
        }
        #expect(signature.keyID == "k")
        #expect(signature.bytes == [1, 2, 3, 4])
    }

    @Test(arguments: ["{}", #"{"signedBlob":""}"#, #"{"signedBlob":"!"}"#, #"{"signedBlob":7}"#])
    func `a reply without a signature is malformed`(body: String) async {
        let transport = ScriptedTransport { _, _ in .reply(HTTPResponse(status: 200, body: Array(body.utf8))) }
        let client = IAMCredentialsClient(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()))
        let error = await failure { () async throws(APIError) in try await client.signBlob([1], as: Self.email) }
        #expect(error?.code == .malformedResponse)
    }

    @Test func `a service account and who may act as it`() async throws {
        let account = try await expectCall(
            "GET \(Self.account)",
            reply: [
                "email": .string(Self.email), "uniqueId": "103", "projectId": "p1", "displayName": "ML",
                "disabled": true,
            ]
        ) { google throws(APIError) in try await IAMClient(google).serviceAccount(Self.email, project: "p1") }
        #expect(account.uniqueId == "103")
        #expect(account.disabled == true)
        let policy = try await expectCall(
            "POST \(Self.account):getIamPolicy?options.requestedPolicyVersion=3",
            reply: [
                "etag": "e",
                "bindings": [
                    [
                        "role": "roles/iam.workloadIdentityUser", "members": ["serviceAccount:p1.svc.id.goog[ml/t]"],
                        "condition": ["title": "until", "expression": "request.time < timestamp(\"2027\")"],
                    ], ["role": "roles/empty"],
                ],
            ]
        ) { google throws(APIError) in try await IAMClient(google).policy(ofServiceAccount: Self.email, project: "p1") }
        #expect(policy.bindings?.map(\.role) == ["roles/iam.workloadIdentityUser", "roles/empty"])
        #expect(policy.bindings?.first?.condition?.title == "until")
        #expect(policy.bindings?.last?.members == nil)
        let granted = try await expectCall(
            "POST \(Self.account):testIamPermissions", body: ["permissions": ["iam.serviceAccounts.actAs"]]
        ) { google throws(APIError) in
            try await IAMClient(google).grantedPermissions(
                ["iam.serviceAccounts.actAs"], onServiceAccount: Self.email, project: "p1")
        }
        #expect(granted == [])
    }

    @Test func `a project and what we may do in it`() async throws {
        let project = try await expectCall(
            "GET \(Self.project)",
            reply: ["name": "projects/42", "projectId": "p1", "state": "ACTIVE", "labels": ["a": "b"]]
        ) { google throws(APIError) in try await ResourceManagerClient(google).project("p1") }
        #expect(project.number == 42)
        #expect(project.state == .known(.active))
        let policy = try await expectCall(
            "POST \(Self.project):getIamPolicy", body: ["options": ["requestedPolicyVersion": 3]],
            reply: ["etag": "e", "version": 1, "bindings": [["role": "r", "members": ["user:a@b.c"]]]]
        ) { google throws(APIError) in try await ResourceManagerClient(google).policy(ofProject: "p1") }
        #expect(policy == IAMPolicy(bindings: [.init(role: "r", members: ["user:a@b.c"])], etag: "e", version: 1))
        let permissions = ["container.clusters.update", "tpu.nodes.create"]
        let granted = try await expectCall(
            "POST \(Self.project):testIamPermissions",
            body: ["permissions": ["container.clusters.update", "tpu.nodes.create"]],
            reply: ["permissions": ["tpu.nodes.create"]]
        ) { google throws(APIError) in
            try await ResourceManagerClient(google).grantedPermissions(permissions, onProject: "p1")
        }
        #expect(granted == ["tpu.nodes.create"])
    }

    @Test func `which APIs are on`() async throws {
        let reply: JSONValue = [
            "name": "projects/42/services/run.googleapis.com", "state": "ENABLED", "parent": "projects/42",
            "config": ["name": "run.googleapis.com", "title": "Cloud Run"],
        ]
        let service = try await expectCall("GET \(Self.services)/run.googleapis.com", reply: reply) {
            google throws(APIError) in
            try await ServiceUsageClient(google).service("run.googleapis.com", project: "p1")
        }
        #expect(service.id == "run.googleapis.com")
        #expect(service.isEnabled)
        let names = ["run.googleapis.com", "tpu.googleapis.com"]
        let several = try await expectCall(
            "GET \(Self.services):batchGet?names=projects%2Fp1%2Fservices%2Frun.googleapis.com"
                + "&names=projects%2Fp1%2Fservices%2Ftpu.googleapis.com",
            reply: [
                "services": [reply, ["name": "projects/42/services/tpu.googleapis.com", "state": "DISABLED"]]
            ]
        ) { google throws(APIError) in try await ServiceUsageClient(google).services(names, project: "p1") }
        #expect(several.first == service)
        #expect(several.map(\.id) == names)
        #expect(several.map(\.isEnabled) == [true, false])
        let enabled = try await expectCalls(
            [
                "GET \(Self.services)?filter=state%3AENABLED&pageSize=200",
                "GET \(Self.services)?filter=state%3AENABLED&pageSize=200&pageToken=2",
            ], replies: [["nextPageToken": "2"], ["services": [reply]]]
        ) { google throws(APIError) in try await ServiceUsageClient(google).enabledServices(project: "p1") }
        #expect(enabled == Listing(items: [service]))
        for count in [0, 31] {
            let client = ServiceUsageClient(
                GoogleCloudClient(transport: NoTransport(), tokens: NoTokens(), clock: ImpatientClock()))
            let error = await failure { () async throws(APIError) in
                try await client.services(
                    Array(repeating: "run.googleapis.com", count: count), project: "p1")
            }
            #expect(error?.message == "1 to 30 services at once, not \(count)")
        }
    }
}
