internal import Encoding
public import HTTP

extension StorageClient {
    /// Who may do what with the bucket. Maps to `GET storage/v1/b/B/iam?optionsRequestedPolicyVersion=3`.
    public func policy(ofBucket bucket: String) async throws(APIError) -> IAMPolicy {
        try await client.value(
            call(
                "buckets.getIamPolicy", .get, ["b", .checked(.bucket, bucket), "iam"],
                query: [HTTPURL.QueryItem("optionsRequestedPolicyVersion", "3")]))
    }

    /// Maps to `PUT storage/v1/b/B/iam`.
    ///
    /// - Throws: `.preconditionFailed` when somebody has changed the policy since it was read, also when it would make
    ///   the bucket public and that is prevented; `.invalid` without its etag.
    public func setPolicy(_ policy: IAMPolicy, ofBucket bucket: String) async throws(APIError) -> IAMPolicy {
        try await client.value(
            call(
                "buckets.setIamPolicy", .put, ["b", .checked(.bucket, bucket), "iam"],
                body: policy.forSetting(operation: "storage.buckets.setIamPolicy")))
    }

    /// The ones of these permissions that we have.
    /// Maps to `GET storage/v1/b/B/iam/testPermissions?permissions=…&permissions=…`.
    public func grantedPermissions(
        _ permissions: [String], onBucket bucket: String
    ) async throws(APIError) -> Set<String> {
        let reply: TestPermissionsReply = try await client.value(
            call(
                "buckets.testIamPermissions", .get, ["b", .checked(.bucket, bucket), "iam", "testPermissions"],
                query: permissions.map { HTTPURL.QueryItem("permissions", $0) }))
        return Set(reply.permissions ?? [])
    }
}

/// Messages about a bucket's objects to a Pub/Sub topic.
public struct BucketNotification: Codable, Sendable, Hashable {
    /// The service's; the client never sends it.
    public var id: String?
    /// `//pubsub.googleapis.com/projects/P/topics/T`.
    public var topic: String
    /// `OBJECT_FINALIZE`, `OBJECT_METADATA_UPDATE`, `OBJECT_DELETE`, `OBJECT_ARCHIVE`; nil is all.
    public var eventTypes: [String]?
    public var objectNamePrefix: String?
    public var customAttributes: [String: String]?
    /// `JSON_API_V1` or `NONE`.
    public var payloadFormat: String?

    private enum CodingKeys: String, CodingKey {
        case id, topic
        case eventTypes = "event_types"
        case objectNamePrefix = "object_name_prefix"
        case customAttributes = "custom_attributes"
        case payloadFormat = "payload_format"
    }

    public init(
        topic: String, eventTypes: [String]? = nil, objectNamePrefix: String? = nil,
        customAttributes: [String: String]? = nil, payloadFormat: String = "JSON_API_V1"
    ) {
        self.topic = topic
        self.eventTypes = eventTypes
        self.objectNamePrefix = objectNamePrefix
        self.customAttributes = customAttributes
        self.payloadFormat = payloadFormat
    }
}

extension StorageClient {
    /// Maps to `POST storage/v1/b/B/notificationConfigs`. Each call makes another one: list them first.
    ///
    /// - Throws: `.forbidden` when Cloud Storage may not publish to the topic, `.notFound`, `.invalid`.
    public func insertNotification(
        _ notification: BucketNotification, in bucket: String
    ) async throws(APIError) -> BucketNotification {
        var body = notification
        body.id = nil
        return try await client.value(
            call(
                "notifications.insert", .post, ["b", .checked(.bucket, bucket), "notificationConfigs"], body: body))
    }

    /// All of them; this list has no pages. Maps to `GET storage/v1/b/B/notificationConfigs`.
    public func notifications(in bucket: String) async throws(APIError) -> [BucketNotification] {
        struct Reply: Decodable { var items: [BucketNotification]? }
        let reply: Reply = try await client.value(
            call("notifications.list", .get, ["b", .checked(.bucket, bucket), "notificationConfigs"]))
        return reply.items ?? []
    }

    /// Maps to `DELETE storage/v1/b/B/notificationConfigs/ID`.
    ///
    /// - Throws: `.notFound`.
    public func deleteNotification(_ id: String, in bucket: String) async throws(APIError) {
        try await client.reply(
            call(
                "notifications.delete", .delete,
                ["b", .checked(.bucket, bucket), "notificationConfigs", .checked(.notification, id)]))
    }
}
